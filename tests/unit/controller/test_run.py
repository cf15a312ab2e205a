"""How the process is wired: who may write, and when the Lease is given away."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from sluice.cluster.connection import Connection
from sluice.cluster.lease import Lease, LeaseLost
from sluice.cluster.outbound import Reference
from sluice.controller import run as wiring
from sluice.controller.run import LEASE_LOST_STATUS
from sluice.controller.samples_places import InBucket, InRegistry
from sluice.controller.settings import Settings
from sluice.webhook.certificates import Lifetimes, renew


class Client:
    """Remembers what it was made with."""

    def __init__(self, _connection: object, **how: Any) -> None:  # noqa: ANN401 - the client's arguments
        self.how = how

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Wired:
    """What `run` handed to its inner part."""

    client: Client
    lease: Lease
    instance: str
    order: list[str]


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Wired:
    found = Wired()
    found.order = []

    async def inner(_settings: Settings, _connection: object, client: Client, lease: Lease, *, instance: str, ending: asyncio.Event) -> None:
        found.client, found.lease, found.instance = client, lease, instance
        os.kill(os.getpid(), signal.SIGTERM)
        await ending.wait()
        found.order.append("work ended")
        raise RuntimeError("a part that must run for ever ended")

    async def release(_lease: Lease) -> None:
        found.order.append("lease released")

    monkeypatch.setattr(Connection, "load", lambda **_: object())
    monkeypatch.setattr(Lease, "release", release)
    monkeypatch.setattr(wiring, "ApiClient", Client)
    monkeypatch.setattr(wiring, "_run", inner)
    return found


async def test_every_write_but_those_of_the_lease_itself_passes_its_fence(wired: Wired) -> None:
    with pytest.raises(RuntimeError, match="for ever"):
        await wiring.run(Settings(identity="pod-1"))
    assert wired.client.how == {"guard": wired.lease.fence}
    with pytest.raises(LeaseLost):
        wired.client.how["guard"](5.0)
    own = wired.lease._client
    assert isinstance(own, Client)
    assert own.how == {"timeout_seconds": Settings().timing.request_timeout_seconds}


async def test_the_lease_is_given_away_after_all_work_has_ended_also_when_it_ended_badly(wired: Wired) -> None:
    with pytest.raises(RuntimeError, match="for ever"):
        await wiring.run(Settings())
    assert wired.order == ["work ended", "lease released"]


async def test_each_start_is_another_holder(wired: Wired) -> None:
    holders = set()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="for ever"):
            await wiring.run(Settings(identity="pod-1"))
        holders.add(wired.lease.identity)
        assert wired.instance == "pod-1"
    assert len(holders) == 2
    assert all(holder.startswith("pod-1_") for holder in holders)


async def test_a_process_that_lost_the_lease_exits_at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    lease = Lease(Client(None), namespace="n", name="l", identity="i")  # type: ignore[arg-type]
    lease.lost.set()
    await wiring._leave_when_lost(lease)
    assert left == [LEASE_LOST_STATUS]
    assert "the lease is lost" in caplog.text


def test_a_lease_that_is_not_safe_is_refused() -> None:
    with pytest.raises(ValueError, match="a lease needs"):
        _ = Settings(lease_renew_deadline=30.0).timing


def test_where_prometheus_is_is_checked_when_the_process_starts() -> None:
    assert Settings().prometheus is None
    server = Settings(prometheus_url="https://prometheus:9090/x", prometheus_token_file=Path("token")).prometheus
    assert server is not None
    assert (server.url, server.token_file) == ("https://prometheus:9090/x", Path("token"))
    with pytest.raises(ValueError, match="prometheus-url"):
        _ = Settings(prometheus_url="prometheus:9090").prometheus


def test_authorities_of_registries_are_read_when_the_process_starts_and_count_for_evidence_and_samples(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    settings = Settings(registry_ca_file=ca, samples_repository="registry.example.com/samples")
    for read in (lambda: settings.registries, lambda: settings.samples):
        with pytest.raises(FileNotFoundError, match=str(ca)):
            read()
    for content in (b"", b"none", b"\xff", b"-----BEGIN CERTIFICATE-----\n" * 40_000):
        ca.write_bytes(content)
        with pytest.raises(ValueError, match=f"{ca}: these are no certificates"):
            _ = settings.registries
    ca.write_bytes(renew(None, ["r"], Lifetimes(), now=datetime.now(UTC)).bundle_pem)
    plain, told = Settings(samples_repository="registry.example.com/samples").samples, settings.samples
    assert isinstance(told, InRegistry)
    assert told.repository.tls is not None
    # A redirect may lead to the public: what the system trusts stays trusted.
    assert len(told.repository.tls.get_ca_certs()) == len(ssl.create_default_context().get_ca_certs()) + 1
    assert isinstance(plain, InRegistry)
    assert plain.repository.tls is None
    assert isinstance(settings.registries._tls, ssl.SSLContext)


@pytest.mark.usefixtures("no_aws")
def test_samples_go_to_a_bucket_with_the_credentials_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(renew(None, ["r"], Lifetimes(), now=datetime.now(UTC)).bundle_pem)
    place = "s3://ml-audit/samples"
    told = Settings(samples_repository=place, samples_region="eu-central-1", samples_endpoint="https://minio:9000", registry_ca_file=ca).samples
    assert isinstance(told, InBucket)
    assert (told.bucket.name, told.bucket.prefix, told.bucket.region, told.bucket.endpoint) == ("ml-audit", "samples", "eu-central-1", "https://minio:9000")
    assert told.bucket.tls is not None
    assert "secret" not in repr(told)
    with pytest.raises(ValueError, match="is no region"):
        _ = Settings(samples_repository=place).samples
    with pytest.raises(ValueError, match="--samples-auth-file is for registries"):
        _ = Settings(samples_repository=place, samples_auth_file=ca).samples
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ValueError, match="--samples-repository is a bucket, and there are no AWS credentials: set AWS_ACCESS_KEY_ID"):
        _ = Settings(samples_repository=place).samples


def test_evidence_comes_from_registries_that_are_listed_and_from_none_without() -> None:
    reference = Reference(host="registry.example.com", repository="acme/churn", digest="sha256:" + "a" * 64)
    assert Settings().registries.listed(reference) is None
    assert Settings(evidence_registry=("registry.example.com/acme",)).registries.listed(reference) is not None
    with pytest.raises(ValueError, match="is no registry"):
        _ = Settings(evidence_registry=("registry.example.com/Acme",)).registries
