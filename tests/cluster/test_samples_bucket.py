"""Samples in a bucket of a real S3 server: kept by the controller, read again by an auditor, refused to who may not. Needs no cluster.

A server that is slow, redirects, or speaks in riddles is tests/faults/test_bucket.py's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.cli import main
from sluice.cluster.aws_account import Account
from sluice.cluster.bucket import Bucket, BucketRefused, fetch, put
from sluice.controller.canary_samples import ATTEMPTS
from sluice.controller.samples_places import InBucket
from tests.cluster.s3 import NAME, OWNER, REGION, STRANGER, S3Server, account
from tests.unit.cli.test_canary_verify import make
from tests.unit.controller.samples_bench import Bench

CONTENT = b'{"rank":0}\n'
KEY = f"samples/sha256/{hashlib.sha256(CONTENT).hexdigest()}.jsonl"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as running:
        yield running


async def kept(bucket: Bucket, content: bytes = CONTENT) -> str:
    return await put(bucket, content, suffix=".jsonl", media_type="application/x.jsonl", metadata={"sluice-run": "payments/churn"})


def audit(s3: S3Server, folder: Path, samples: str, who: tuple[str, str] = OWNER) -> Result:
    """`sluice canary verify`, with the keys of an auditor in the environment."""
    environment = {"AWS_ACCESS_KEY_ID": who[0], "AWS_SECRET_ACCESS_KEY": who[1], "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": s3.endpoint}
    files = [str(folder / "run.yaml"), f"--suite={folder / 'suite.yaml'}", f"--cases={folder / 'cases.jsonl'}"]
    return CliRunner().invoke(main, ["canary", "verify", *files, f"--samples={samples}"], env=environment)


@pytest.mark.usefixtures("no_aws")
async def test_what_the_controller_keeps_an_auditor_reads_again_and_sees_when_somebody_has_changed_it(s3: S3Server, tmp_path: Path) -> None:
    await make(tmp_path, planned=260, shards=1, pinned=1)
    content = (tmp_path / "0.jsonl").read_bytes()
    bench = Bench({0: content}, InBucket(bucket=s3.bucket()))
    assert await bench.keep()
    told = bench.status["samples"]
    key = f"samples/sha256/{hashlib.sha256(content).hexdigest()}.jsonl"
    assert told == {"uri": f"s3://{NAME}/{key}", "digest": "sha256:" + hashlib.sha256(content).hexdigest()}
    assert s3.stored(key).read_bytes() == content

    there = yaml.safe_load((tmp_path / "run.yaml").read_text())
    there["status"]["samples"] = told
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(there))
    verified = await asyncio.to_thread(audit, s3, tmp_path, told["uri"])
    assert verified.exit_code == 0, verified.output
    assert f"same     samples   {told['digest']}" in verified.output
    refused = await asyncio.to_thread(audit, s3, tmp_path, told["uri"], STRANGER)
    assert (refused.exit_code, "AccessDenied: these credentials may not do that" in refused.output) == (2, True), refused.output

    s3.stored(key).write_bytes(content.replace(b'"yes"', b'"no"', 1))
    changed = await asyncio.to_thread(audit, s3, tmp_path, told["uri"])
    assert (changed.exit_code, "DIFFERS  samples" in changed.output) == (1, True), changed.output


async def test_the_same_samples_are_kept_once_and_others_are_never_written_over(s3: S3Server) -> None:
    uri = await kept(s3.bucket())
    assert uri == f"s3://{NAME}/{KEY}"
    written = s3.stored(KEY).stat()
    assert await kept(s3.bucket()) == uri
    again = s3.stored(KEY).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns), "it was written again"
    assert await fetch(s3.bucket(uri), limit=100) == CONTENT
    s3.stored(KEY).write_bytes(b"something else")
    with pytest.raises(BucketRefused, match="holds something else than what its name says, and is left as it is"):
        await kept(s3.bucket())
    assert s3.stored(KEY).read_bytes() == b"something else"


@pytest.mark.parametrize(
    ("place", "who", "region", "told"),
    [
        (f"s3://{NAME}/refused", (OWNER[0], "another-secret"), REGION, "403 SignatureDoesNotMatch: the secret key is not the one of this access key"),
        (f"s3://{NAME}/refused", ("nobody", "any-secret"), REGION, "403 InvalidAccessKeyId: it does not know this access key"),
        (f"s3://{NAME}/refused", STRANGER, REGION, "403 AccessDenied: these credentials may not do that; they need s3:PutObject and s3:GetObject"),
        (f"s3://{NAME}/refused", OWNER, "us-west-2", "AuthorizationHeaderMalformed: the region is another one"),
        ("s3://no-such-bucket/refused", OWNER, REGION, "404 NoSuchBucket: there is no such bucket"),
    ],
    ids=["secret", "key", "rights", "region", "bucket"],
)
async def test_who_may_not_keeps_nothing_and_the_run_says_why(s3: S3Server, place: str, who: tuple[str, str], region: str, told: str) -> None:
    bench = Bench({0: CONTENT}, InBucket(bucket=s3.bucket(place, who=who, region=region)))
    assert [await bench.keep() for _ in range(ATTEMPTS)] == [False] * (ATTEMPTS - 1) + [True]
    [event] = bench.events
    assert told in event["note"]
    assert who[1] not in str(event)
    assert "samples" not in bench.status
    assert not s3.stored("refused").exists()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mistaken(Account):
    """Signs for other bytes than are sent, or vouches for others: what a broken line or a proxy makes of a request."""

    signs: bool

    async def signed(self, method: str, path: str, headers: Mapping[str, str], *, body_sha256: str, region: str) -> dict[str, str]:
        other = hashlib.sha256(b"other bytes").hexdigest()
        vouched = {} if self.signs else {"x-amz-checksum-sha256": "n7R+sEvKJQ5ZYTQCBK6ZjqWBXtMWJYYjUrJfN2VqXkM="}
        return await Account.signed(self, method, path, {**headers, **vouched}, body_sha256=other if self.signs else body_sha256, region=region)


@pytest.mark.parametrize(("signs", "told"), [(True, "XAmzContentSHA256Mismatch"), (False, "BadDigest")])
async def test_the_server_refuses_bytes_that_are_not_those_of_the_signature_or_the_checksum(s3: S3Server, *, signs: bool, told: str) -> None:
    mistaken = Mistaken(provider=account(OWNER).provider, region="", endpoint="", signs=signs)
    with pytest.raises(BucketRefused, match=f"{told}: what arrived is not what was sent"):
        await kept(dataclasses.replace(s3.bucket(f"s3://{NAME}/mistaken"), account=mistaken))
    assert not s3.stored("mistaken").exists()
