"""A registry that asks for tokens, refuses, sends uploads elsewhere, or is not there."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sluice.cluster import registry
from sluice.cluster.registry import RegistryRefused, Repository, push, read_credentials
from sluice.cluster.registry_login import tls_trusting
from sluice.webhook.certificates import Lifetimes, renew


@dataclass
class Registry:
    """As much of a registry as a push meets. `challenge` None: everybody may push."""

    address: str = ""
    challenge: str | None = None
    authorized: str = "Bearer token-1"
    elsewhere: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.path_qs, request.headers.get("Authorization", "")))
        if request.path == "/token":
            right = request.headers.get("Authorization") == "Basic " + base64.b64encode(b"robot:secret").decode()
            return web.json_response({"token": "token-1"} if right else {"errors": []}, status=200 if right else 401)
        if self.challenge is not None and request.headers.get("Authorization") != self.authorized and "elsewhere" not in request.path:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        name = request.path.rsplit("/", 1)[-1]
        if request.method == "HEAD":
            return web.Response(status=200 if name in self.blobs else 404)
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": f"{self.elsewhere or '/v2/ml/samples'}/blobs/uploads/7?state=x"})
        if "/manifests/" in request.path:
            self.manifests[name] = body
        else:
            self.blobs[request.query["digest"]] = body
        return web.Response(status=201)


@asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[Registry]:
    found, application = Registry(), web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    found.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def there() -> AsyncIterator[Registry]:
    async with running() as found:
        yield found


def repository(there: Registry, *, password: str | None = "secret") -> Repository:
    credentials = {} if password is None else {there.address: ("robot", password)}
    return Repository.parse(f"http://{there.address}/ml/samples", credentials=credentials)


async def pushed(where: Repository) -> str:
    return await push(where, artifact_type="application/x.samples", media_type="application/x.jsonl", content=b"{}\n", annotations={"a": "b"})


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.mark.usefixtures("socket_enabled")
async def test_what_is_pushed_is_an_artifact_whose_parts_are_all_there(there: Registry) -> None:
    reference = await pushed(repository(there, password=None))
    name, _, at = reference.partition("@")
    assert name == f"{there.address}/ml/samples"
    body = there.manifests[at]
    assert digest(body) == at
    manifest = json.loads(body)
    assert (manifest["artifactType"], manifest["annotations"]) == ("application/x.samples", {"a": "b"})
    for part in (manifest["config"], *manifest["layers"]):
        assert (digest(there.blobs[part["digest"]]), len(there.blobs[part["digest"]])) == (part["digest"], part["size"])
    assert there.blobs[manifest["layers"][0]["digest"]] == b"{}\n"
    # What is there already is not sent again.
    there.seen.clear()
    assert await pushed(repository(there, password=None)) == reference
    assert [method for method, _, _ in there.seen] == ["HEAD", "HEAD", "PUT"]


@pytest.mark.usefixtures("socket_enabled")
async def test_a_challenge_is_answered_as_the_registry_asks(there: Registry) -> None:
    there.challenge = f'Bearer realm="http://{there.address}/token",service="registry",scope="repository:ml/samples:pull,push"'
    await pushed(repository(there))
    assert ("GET", "/token?service=registry&scope=repository:ml/samples:pull,push") in [(method, path) for method, path, _ in there.seen]
    there.challenge, there.authorized = 'Basic realm="registry"', "Basic " + base64.b64encode(b"robot:secret").decode()
    await pushed(repository(there))


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("password", [None, "wrong"])
async def test_who_may_not_push_is_told_so_and_no_password_is(there: Registry, password: str | None) -> None:
    there.challenge = f'Bearer realm="http://{there.address}/token",service="registry"'
    with pytest.raises(RegistryRefused, match="answers 401") as refused:
        await pushed(repository(there, password=password))
    assert "wrong" not in str(refused.value)


@pytest.mark.usefixtures("socket_enabled")
async def test_a_token_service_without_tls_gets_no_password_of_a_registry_with_it(there: Registry) -> None:
    registry_with_tls = Repository(host=there.address, name="ml/samples", plain_http=False, credentials=("robot", "secret"))
    async with aiohttp.ClientSession() as session:
        client = registry._Registry(registry_with_tls, session)
        assert not await client.login.answer(f'Bearer realm="http://{there.address}/token"', session)
    assert there.seen == []


@pytest.mark.usefixtures("socket_enabled")
async def test_an_upload_that_is_sent_elsewhere_goes_without_the_token(there: Registry) -> None:
    there.challenge, there.authorized = 'Basic realm="registry"', "Basic " + base64.b64encode(b"robot:secret").decode()
    there.elsewhere = f"http://localhost:{there.address.rpartition(':')[2]}/elsewhere"
    await pushed(repository(there))
    assert {authorization for _, path, authorization in there.seen if "elsewhere" in path} == {""}


@pytest.mark.usefixtures("socket_enabled")
async def test_a_registry_of_a_company_is_pushed_to_where_its_authority_is_known(tmp_path: Path) -> None:
    material = renew(None, ["127.0.0.1"], Lifetimes(), now=datetime.now(UTC))
    (tmp_path / "leaf.pem").write_bytes(material.leaf_pem + material.leaf_key_pem)
    (tmp_path / "ca.pem").write_bytes(material.bundle_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "leaf.pem")
    async with running(context) as there:
        where = f"{there.address}/ml/samples"
        with pytest.raises(RegistryRefused, match="cannot be reached"):
            await pushed(Repository.parse(where, credentials={}))
        assert there.seen == []
        assert (await pushed(Repository.parse(where, credentials={}, tls=tls_trusting(tmp_path / "ca.pem")))).startswith(where)


async def test_a_registry_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(RegistryRefused, match=r"127\.0\.0\.1:1 cannot be reached"):
        await pushed(Repository.parse("http://127.0.0.1:1/ml/samples", credentials={}))


@pytest.mark.parametrize("text", ["samples", "https://r.example.com/samples", "r.example.com/Samples", "user:pw@r.example.com/samples", "r.example.com/../x"])
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no repository"):
        Repository.parse(text, credentials={})


def test_credentials_are_read_by_registry_and_never_repeated(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"r.example.com": {"auth": base64.b64encode(b"robot:a:b").decode()}}}))
    assert Repository.parse("r.example.com/ml/samples", credentials=read_credentials(config)).credentials == ("robot", "a:b")
    assert Repository.parse("other.example.com/ml/samples", credentials=read_credentials(config)).credentials is None
    config.write_text('{"auths": {"r.example.com": {"auth": "geheim!"}}}')
    with pytest.raises(ValueError, match="is no Docker configuration") as refused:
        read_credentials(config)
    assert "geheim" not in str(refused.value)
