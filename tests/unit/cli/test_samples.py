"""Samples that are files are read where they are; those of a bucket are fetched with the account of who asks, and are gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.cli.samples import SamplesUnavailable, files_of
from sluice.cluster import bucket as buckets
from sluice.cluster.bucket import Bucket, BucketRefused
from sluice.scoring.samples import RUN_BYTES

URL = "s3://ml-audit/samples/sha256/07aa.jsonl"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Bucket, int]]:
    """A bucket that has one object, and who asked for it."""
    requests: list[tuple[Bucket, int]] = []

    async def fetch(bucket: Bucket, *, limit: int) -> bytes:
        requests.append((bucket, limit))
        if not bucket.prefix.endswith("07aa.jsonl"):
            raise BucketRefused("https://minio answers 404 NoSuchKey: there is no such object")
        return b"{}\n"

    monkeypatch.setattr(buckets, "fetch", fetch)
    return requests


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_S3": "https://minio:9000"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("no_aws", "keys")
def test_files_stay_where_they_are_and_objects_are_gone_afterwards(asked: list[tuple[Bucket, int]], tmp_path: Path) -> None:
    here = tmp_path / "0.jsonl"
    here.write_bytes(b"here\n")
    with files_of([str(here), URL]) as (file, fetched):
        assert file == here
        assert fetched.read_bytes() == b"{}\n"
    assert (here.exists(), fetched.exists()) == (True, False)
    [(bucket, limit)] = asked
    assert (str(bucket.url(bucket.prefix)), bucket.region, limit) == ("https://minio:9000/ml-audit/samples/sha256/07aa.jsonl", "eu-west-1", RUN_BYTES)


@pytest.mark.usefixtures("no_aws", "keys", "asked")
@pytest.mark.parametrize(
    ("given", "authorities", "complaint"),
    [
        ("s3://ml-audit/gone", "", r"s3://ml-audit/gone: https://minio answers 404 NoSuchKey"),
        ("s3://ml-audit/../gone", "", r"is no place in a bucket; write s3://bucket/prefix"),
        ("nowhere.jsonl", "", r"nowhere\.jsonl: there is no such file; samples are a file, or an object s3://BUCKET/KEY"),
        (".", "", r"there is no such file"),
        (URL, "/nowhere/ca.pem", r"No such file or directory: '/nowhere/ca\.pem'"),
    ],
)
def test_what_cannot_be_had_is_said_with_its_name(monkeypatch: pytest.MonkeyPatch, given: str, authorities: str, complaint: str) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", authorities)
    with pytest.raises(SamplesUnavailable, match=complaint), files_of([given]):
        pass


@pytest.mark.usefixtures("no_aws")
def test_nobody_is_asked_without_credentials(asked: list[tuple[Bucket, int]]) -> None:
    with pytest.raises(SamplesUnavailable, match="there are no AWS credentials: set AWS_ACCESS_KEY_ID"), files_of([URL]):
        pass
    assert asked == []
