"""A token goes over TLS to a server that is who it says it is, or not at all."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sluice.scoring.answer import Answer, Failure
from sluice.scoring.protocols.settings import ProtocolSettings, ProtocolType
from sluice.webhook.certificates import Lifetimes, Material, renew
from tests.faults.model_servers import ModelServer
from tests.faults.questions import CHAT, TOKEN, answered, unanswered, whole

GRPC = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="m")


@pytest.fixture
def material() -> Material:
    """A certificate for loopback, by an authority that nobody knows."""
    return renew(None, ["127.0.0.1"], Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=1)), now=datetime.now(UTC))


@pytest.fixture
def serving(material: Material, tmp_path: Path) -> ssl.SSLContext:
    """What a server presents."""
    (tmp_path / "leaf.pem").write_bytes(material.leaf_pem)
    (tmp_path / "key.pem").write_bytes(material.leaf_key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "leaf.pem", tmp_path / "key.pem")
    return context


async def test_a_known_authority_is_believed(material: Material, serving: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_bytes(material.bundle_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with ModelServer(whole("yes"), tls=serving) as server:
        assert isinstance(await answered(CHAT, server.address), Answer)
    assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("settings", [CHAT, GRPC], ids=["HTTP", "gRPC"])
async def test_an_unknown_authority_is_unreachable_and_gets_no_token(settings: ProtocolSettings, serving: ssl.SSLContext) -> None:
    async with ModelServer(whole("yes"), tls=serving) as server:
        assert (await unanswered(settings, server.address)).failure is Failure.UNREACHABLE
    assert server.headers == []


@pytest.mark.parametrize("settings", [CHAT, GRPC], ids=["HTTP", "gRPC"])
async def test_a_server_without_tls_is_unreachable_over_https_and_gets_no_token(settings: ProtocolSettings) -> None:
    async with ModelServer(whole("yes")) as server:
        assert (await unanswered(settings, server.address.replace("http:", "https:"))).failure is Failure.UNREACHABLE
    assert server.headers == []
