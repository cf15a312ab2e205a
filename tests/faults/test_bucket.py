"""A bucket that refuses, redirects, is slow, answers too much, or holds something else. What a real server does is in tests/cluster/test_samples_bucket.py."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from awscrt.auth import AwsCredentialsProvider

from sluice.cluster import bucket as buckets
from sluice.cluster.aws_account import Account
from sluice.cluster.bucket import Bucket, BucketRefused, fetch, put
from sluice.cluster.registry_login import tls_trusting
from sluice.webhook.certificates import Lifetimes, renew

CONTENT = b'{"rank":0}\n' * 1000
DIGEST = hashlib.sha256(CONTENT)
KEY = f"samples/sha256/{DIGEST.hexdigest()}.jsonl"


@dataclass
class Shop:
    """As much of S3 as is needed to be in its way. `instead`: what it answers to a method, whatever is asked."""

    address: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    instead: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    conditions: bool = True
    silent: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers)))
        if self.silent:
            await asyncio.Event().wait()
        if request.method in self.instead:
            status, code, headers = self.instead[request.method]
            return error(status, code, headers)
        if request.method == "PUT":
            conditional = "If-None-Match" in request.headers
            if conditional and not self.conditions:
                return error(501, "NotImplemented", {})
            if conditional and request.path in self.objects:
                return error(412, "PreconditionFailed", {})
            self.objects[request.path] = body
            return web.Response()
        return web.Response(body=self.objects[request.path]) if request.path in self.objects else error(404, "NoSuchKey", {})


def error(status: int, code: str, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, text=f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>of theirs</Message></Error>", headers=headers)


@asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[Shop]:
    found, application = Shop(), web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    found.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with running() as found:
        yield found


def bucket(shop: Shop, place: str = "s3://ml-audit/samples") -> Bucket:
    account = Account(provider=AwsCredentialsProvider.new_static("the-key", "the-secret", "the-token"), region="", endpoint="")
    return Bucket.parse(place, endpoint=f"http://{shop.address}", region="eu-central-1", account=account)


async def kept(shop: Shop) -> str:
    return await put(bucket(shop), CONTENT, suffix=".jsonl", media_type="application/x.jsonl", metadata={"sluice-run": "payments/churn"})


async def test_an_object_is_named_by_its_digest_which_is_signed_and_sent_for_the_server_to_check(shop: Shop) -> None:
    assert await kept(shop) == f"s3://ml-audit/{KEY}"
    [(method, path, headers)] = shop.seen
    assert (method, path) == ("PUT", f"/ml-audit/{KEY}")
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(DIGEST.digest()).decode()
    assert headers["x-amz-content-sha256"] == DIGEST.hexdigest()
    assert (headers["If-None-Match"], headers["x-amz-meta-sluice-run"], headers["X-Amz-Security-Token"]) == ("*", "payments/churn", "the-token")
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "if-none-match", "x-amz-checksum-sha256", "x-amz-content-sha256", "x-amz-meta-sluice-run"} <= set(signed)
    assert "/eu-central-1/s3/aws4_request" in headers["Authorization"]
    assert "the-secret" not in str(shop.seen)
    assert await fetch(bucket(shop, f"s3://ml-audit/{KEY}"), limit=len(CONTENT)) == CONTENT


async def test_the_same_bytes_again_are_kept_already(shop: Shop) -> None:
    assert await kept(shop) == await kept(shop)
    assert [method for method, _, _ in shop.seen] == ["PUT", "PUT", "GET"]
    assert list(shop.objects.values()) == [CONTENT]


@pytest.mark.parametrize("there", [b"", b"x", CONTENT[:-1], CONTENT + b"x", b"x" * len(CONTENT)])
async def test_what_is_there_under_the_same_name_and_is_something_else_is_left_and_told(shop: Shop, there: bytes) -> None:
    shop.objects[f"/ml-audit/{KEY}"] = there
    with pytest.raises(BucketRefused, match="holds something else than what its name says"):
        await kept(shop)
    assert list(shop.objects.values()) == [there]


async def test_a_server_that_knows_no_conditions_is_asked_without(shop: Shop) -> None:
    shop.conditions = False
    assert await kept(shop) == await kept(shop) == f"s3://ml-audit/{KEY}"
    assert [method for method, _, _ in shop.seen] == ["PUT"] * 4


@pytest.mark.parametrize(
    ("status", "code", "headers", "told"),
    [
        (403, "AccessDenied", {}, "answers 403 AccessDenied: these credentials may not do that; they need s3:PutObject and s3:GetObject"),
        (403, "InvalidAccessKeyId", {}, "answers 403 InvalidAccessKeyId: it does not know this access key"),
        (403, "SignatureDoesNotMatch", {}, "the secret key is not the one of this access key"),
        (403, "RequestTimeTooSkewed", {}, "its clock and ours differ"),
        (404, "NoSuchBucket", {}, "answers 404 NoSuchBucket: there is no such bucket"),
        (400, "BadDigest", {}, "what arrived is not what was sent"),
        (400, "EntityTooLarge", {}, "the object is too large for it"),
        (503, "SlowDown", {}, "it is asked too much"),
        (500, "", {}, "answers 500$"),
        (409, "ConditionalRequestConflict", {}, "answers 409 ConditionalRequestConflict$"),
        (301, "PermanentRedirect", {"x-amz-bucket-region": "us-west-2"}, "another region; the bucket is in us-west-2, and eu-central-1 was said"),
        (307, "TemporaryRedirect", {"Location": "http://169.254.169.254/"}, "answers 307 TemporaryRedirect$"),
        (400, "AuthorizationHeaderMalformed", {"x-amz-bucket-region": "<script>"}, "the region is another one$"),
    ],
)
async def test_what_went_wrong_is_told_in_words_to_act_on(shop: Shop, status: int, code: str, headers: dict[str, str], told: str) -> None:
    shop.instead["PUT"] = shop.instead["GET"] = (status, code, headers)
    for refused in (kept(shop), fetch(bucket(shop), limit=10)):
        with pytest.raises(BucketRefused, match=told) as caught:
            await refused
        assert "the-secret" not in str(caught.value)
        assert "of theirs" not in str(caught.value)
    # Once each: nobody is followed anywhere, and attempts are counted elsewhere.
    assert len(shop.seen) == 2


async def test_credentials_that_may_write_and_not_read_cannot_say_that_it_is_there_already(shop: Shop) -> None:
    await kept(shop)
    shop.instead["GET"] = (403, "AccessDenied", {})
    with pytest.raises(BucketRefused, match="they need s3:PutObject and s3:GetObject"):
        await kept(shop)


async def test_an_object_that_is_too_long_is_not_read_to_its_end(shop: Shop) -> None:
    shop.objects["/ml-audit/samples"] = CONTENT
    with pytest.raises(BucketRefused, match=r"is longer than 10,999 bytes"):
        await fetch(bucket(shop), limit=len(CONTENT) - 1)


async def test_a_server_that_says_nothing_is_left_in_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "SECONDS", 0.2)
    shop.silent = True
    async with asyncio.timeout(5):
        with pytest.raises(BucketRefused, match=r"127\.0\.0\.1 gave no whole answer within 0 s"):
            await kept(shop)


async def test_a_bucket_behind_an_authority_of_a_company_is_reached_where_that_is_known(tmp_path: Path) -> None:
    material = renew(None, ["127.0.0.1"], Lifetimes(), now=datetime.now(UTC))
    (tmp_path / "leaf.pem").write_bytes(material.leaf_pem + material.leaf_key_pem)
    (tmp_path / "ca.pem").write_bytes(material.bundle_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "leaf.pem")
    async with running(context) as shop:
        there = dataclasses.replace(bucket(shop), endpoint=f"https://{shop.address}")
        with pytest.raises(BucketRefused, match="cannot be reached: ClientConnectorCertificateError"):
            await put(there, CONTENT, suffix="", media_type="a/b", metadata={})
        assert shop.seen == []
        trusting = dataclasses.replace(there, tls=tls_trusting(tmp_path / "ca.pem"))
        assert await put(trusting, CONTENT, suffix="", media_type="a/b", metadata={}) == f"s3://ml-audit/{KEY}".removesuffix(".jsonl")


async def test_nobody_there_is_a_refusal_too() -> None:
    with pytest.raises(BucketRefused, match=r"127\.0\.0\.1 cannot be reached: ClientConnectorError"):
        await kept(Shop(address="127.0.0.1:1"))
