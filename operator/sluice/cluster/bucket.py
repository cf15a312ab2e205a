"""Keeps and fetches objects in one S3 bucket that the installation, or the person at the command line, names (Amazon S3 REST API; MinIO, Ceph RGW and others).

Never an address that a tenant writes. An object stands under its own SHA-256, which is also sent twice for the server to check: in the signature, and as the
checksum that it keeps. It is put only where nothing is yet (`If-None-Match: *`); where something is, that must be the same bytes. Redirects are not followed.

Limits: an object is sent whole (one PUT), and held in memory.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import aiohttp
from yarl import URL

from sluice.cluster.aws_account import Account, NoAccount
from sluice.cluster.registry_login import read_body

SECONDS: Final = 30.0
"""For one object, all requests together."""
_ERROR_BYTES: Final = 65_536
_KEY_LENGTH: Final = 1024
_PLACE: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<key>[A-Za-z0-9_~-][A-Za-z0-9_.~-]*(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*))?")
"""Keys of letters that need no escape: what is signed is then what is sent, however a server normalizes. No part of one starts with a dot."""
_ENDPOINT: Final = re.compile(r"(https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?)/?")
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,100})</Code>")
_REGION_OF_MANY: Final = "us-east-1"
"""What servers that have no regions are told: the default of MinIO and Ceph."""
_OK: Final = 200
_CLASH: Final = 412
_NOT_OFFERED: Final = 501

_MEANING: Final[Mapping[str, str]] = {
    "AccessDenied": "these credentials may not do that; they need s3:PutObject and s3:GetObject for what is below the prefix",
    "InvalidAccessKeyId": "it does not know this access key",
    "SignatureDoesNotMatch": "the secret key is not the one of this access key",
    "ExpiredToken": "the session of these credentials is over",
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "there is no such object",
    "PermanentRedirect": "the bucket is in another region",
    "AuthorizationHeaderMalformed": "the region is another one",
    "RequestTimeTooSkewed": "its clock and ours differ",
    "BadDigest": "what arrived is not what was sent",
    "XAmzContentSHA256Mismatch": "what arrived is not what was sent",
    "EntityTooLarge": "the object is too large for it",
    "SlowDown": "it is asked too much",
}
"""Codes of the S3 API reference, "Error responses"."""


class BucketRefused(Exception):
    """Nothing was kept, or nothing fetched; the message says what the server answered, and holds no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, a prefix in it, and who asks. `endpoint` empty: Amazon's own, for the region."""

    name: str
    prefix: str
    endpoint: str
    region: str
    account: Account
    tls: ssl.SSLContext | None = None
    """Whom its certificate may come from; None: from authorities of the system."""

    @classmethod
    def parse(cls, text: str, *, endpoint: str, region: str, account: Account, tls: ssl.SSLContext | None = None) -> Self:
        """Read `s3://bucket/prefix`. Without `endpoint` and `region`, what the account's own environment says counts. Raises ValueError."""
        match = _PLACE.fullmatch(text) if len(text) <= _KEY_LENGTH else None
        if match is None:
            raise ValueError(f"{text[:200]!r} is no place in a bucket; write s3://bucket/prefix, of letters, digits and - _ . ~")
        endpoint = endpoint or account.endpoint
        origin = _ENDPOINT.fullmatch(endpoint)
        if endpoint and origin is None:
            raise ValueError(f"{endpoint[:200]!r} is no endpoint; write https://s3.example.com:9000")
        region = region or account.region or (_REGION_OF_MANY if endpoint else "")
        if not _REGION.fullmatch(region):
            raise ValueError(f"{region[:200]!r} is no region; say which one the bucket is in, such as eu-central-1")
        return cls(name=match["bucket"], prefix=match["key"] or "", endpoint="" if origin is None else origin[1], region=region, account=account, tls=tls)

    def url(self, key: str) -> URL:
        """Where an object is: below the bucket's own name at Amazon, below the endpoint elsewhere, and where dots would break the certificate."""
        if not self.endpoint and "." not in self.name:
            return URL(f"https://{self.name}.s3.{self.region}.amazonaws.com/{key}")
        return URL(f"{self.endpoint or f'https://s3.{self.region}.amazonaws.com'}/{self.name}/{key}")


async def put(bucket: Bucket, content: bytes, *, suffix: str, media_type: str, metadata: Mapping[str, str]) -> str:
    """Keep `content` as `prefix/sha256/DIGEST` and the suffix; return its URL, `s3://…`. Done already is as good as done. Raises BucketRefused."""
    digest = hashlib.sha256(content)
    key = "/".join(filter(None, (bucket.prefix, "sha256", digest.hexdigest()))) + suffix
    headers = {
        "Content-Type": media_type,
        "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
        **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
    }
    async with _asking(bucket) as asking:
        answer = await asking.ask("PUT", key, headers | {"If-None-Match": "*"}, content)
        if answer.status == _NOT_OFFERED:
            answer = await asking.ask("PUT", key, headers, content)
        if answer.status == _CLASH:
            there = await asking.ask("GET", key, {}, limit=len(content))
            if there.status == _OK and there.body != content:
                raise BucketRefused(f"{bucket.url(key)} holds something else than what its name says, and is left as it is")
            answer = there
        asking.check(answer, key)
    return f"s3://{bucket.name}/{key}"


async def fetch(bucket: Bucket, *, limit: int) -> bytes:
    """Fetch the object that `bucket`, prefix and all, names. Raises BucketRefused, also for one of more than `limit` bytes."""
    async with _asking(bucket) as asking:
        answer = await asking.ask("GET", bucket.prefix, {}, limit=limit)
        asking.check(answer, bucket.prefix)
        if answer.body is None:
            raise BucketRefused(f"{bucket.url(bucket.prefix)} is longer than {limit:,} bytes")
        return answer.body


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    code: str
    """What S3 calls the error; empty where the body does not say."""
    elsewhere: str
    """The region that the bucket is in, where the answer says so."""
    body: bytes | None
    """None: there was more than the limit."""


class _Asking:
    """Requests about one object: signed, bounded, and told what went wrong."""

    def __init__(self, bucket: Bucket, session: aiohttp.ClientSession) -> None:
        self._bucket = bucket
        self._session = session

    async def ask(self, method: str, key: str, headers: Mapping[str, str], body: bytes = b"", *, limit: int = 0) -> _Answer:
        """Ask once. `limit`: bytes of an object that is fetched."""
        url = self._bucket.url(key)
        digest = hashlib.sha256(body).hexdigest()
        named = {"Host": url.authority, **headers}
        signed = await self._bucket.account.signed(method, url.raw_path, named, body_sha256=digest, region=self._bucket.region)
        async with self._session.request(method, url, data=body or None, headers=signed, allow_redirects=False) as response:
            found = await read_body(response, limit if response.status == _OK else _ERROR_BYTES)
            code = _CODE.search(found or b"")
            elsewhere = response.headers.get("x-amz-bucket-region", "")
            return _Answer(
                status=response.status,
                code="" if response.status == _OK or code is None else code[1].decode(),
                elsewhere=elsewhere if _REGION.fullmatch(elsewhere) else "",
                body=found,
            )

    def check(self, answer: _Answer, key: str) -> None:
        """Raise BucketRefused for an answer that is no success."""
        if answer.status == _OK:
            return
        told = [f"{self._bucket.url(key)} answers {answer.status}", f" {answer.code}" if answer.code else ""]
        if answer.code in _MEANING:
            told.append(f": {_MEANING[answer.code]}")
        if answer.elsewhere and answer.elsewhere != self._bucket.region:
            told.append(f"; the bucket is in {answer.elsewhere}, and {self._bucket.region} was said")
        raise BucketRefused("".join(told))


@asynccontextmanager
async def _asking(bucket: Bucket) -> AsyncIterator[_Asking]:
    connector = aiohttp.TCPConnector(ssl=True if bucket.tls is None else bucket.tls)
    timeout = aiohttp.ClientTimeout(total=None)
    try:
        async with (
            asyncio.timeout(SECONDS),
            aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
        ):
            yield _Asking(bucket, session)
    except NoAccount as error:
        raise BucketRefused(str(error)) from None
    except TimeoutError:
        raise BucketRefused(f"{bucket.url('').host} gave no whole answer within {SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise BucketRefused(f"{bucket.url('').host} cannot be reached: {type(error).__name__}: {str(error)[:200]}") from None
