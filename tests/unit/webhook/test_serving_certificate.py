"""Two replicas, one Secret, two webhook configurations."""

import base64
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from sluice.cluster.client import ApiClient
from sluice.cluster.errors import Conflict, Forbidden, NotFound
from sluice.webhook.certificates import Lifetimes, Material
from sluice.webhook.serving_certificate import Place, ServingCertificate
from sluice.webhook.tls import SwappableTls

LIFETIMES = Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=1))
PLACE = Place(namespace="sluice-system", secret="sluice-webhook-tls", configuration="sluice-webhook", names=("sluice-webhook.sluice-system.svc",))
SECRET = "/api/v1/namespaces/sluice-system/secrets/sluice-webhook-tls"
KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


class Cluster:
    """As much of an API server as the certificate needs: objects by path, with versions that writers must name."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.forbidden: set[str] = set()
        self.before_write: list[Any] = []
        for kind in KINDS:
            self._store(self.path(kind), {"webhooks": [{"name": "pods", "clientConfig": {"service": {}}}, {"name": "owners", "clientConfig": {}}]})

    @staticmethod
    def path(kind: str) -> str:
        return f"/apis/admissionregistration.k8s.io/v1/{kind}/sluice-webhook"

    def bundles(self) -> set[str | None]:
        return {webhook["clientConfig"].get("caBundle") for kind in KINDS for webhook in self.objects.get(self.path(kind), {}).get("webhooks", ())}

    def material(self) -> Material:
        return Material.read({name: base64.b64decode(part) for name, part in self.objects[SECRET]["data"].items()})

    def _store(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        metadata = {**obj.get("metadata", {}), "resourceVersion": str(len(self.writes))}
        self.objects[path] = {**deepcopy(obj), "metadata": metadata}
        self.writes.append(path)
        return self.objects[path]

    async def _interleave(self) -> None:
        if self.before_write:
            await self.before_write.pop()()

    async def get(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return deepcopy(self.objects[path])

    async def create(self, _resource: object, obj: dict[str, Any], _namespace: str) -> dict[str, Any]:
        await self._interleave()
        if SECRET in self.objects:
            raise Conflict(409, "AlreadyExists", "")
        return self._store(SECRET, obj)

    async def replace(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        await self._interleave()
        if obj["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "")
        return self._store(path, obj)

    async def patch_json(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        if path in self.forbidden:
            raise Forbidden(403, "Forbidden", path)
        obj = await self.get(path)
        test, *adds = operations
        assert (test["op"], test["path"], test["value"]) == ("test", "/metadata/resourceVersion", obj["metadata"]["resourceVersion"])
        for add in adds:
            _, webhooks, index, config, field = add["path"].split("/")
            assert (webhooks, config, field) == ("webhooks", "clientConfig", "caBundle")
            obj["webhooks"][int(index)][config][field] = add["value"]
        return self._store(path, obj)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class RecordingTls(SwappableTls):
    """Remembers what was served, with the bundles that were published at that moment."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.served: list[bytes] = []
        self.bundles: list[set[str | None]] = []
        self._cluster = cluster

    def swap(self, *, certificate_pem: bytes, key_pem: bytes) -> None:
        super().swap(certificate_pem=certificate_pem, key_pem=key_pem)
        self.served.append(certificate_pem)
        self.bundles.append(self._cluster.bundles())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def replica(cluster: Cluster, clock: Clock) -> tuple[ServingCertificate, RecordingTls]:
    tls = RecordingTls(cluster)
    return ServingCertificate(cast("ApiClient", cluster), tls, PLACE, LIFETIMES, now=clock), tls


def published(material: Material) -> str:
    return base64.b64encode(material.bundle_pem).decode()


async def test_the_first_round_makes_publishes_and_serves(cluster: Cluster, clock: Clock) -> None:
    certificate, tls = replica(cluster, clock)
    await certificate.round()
    assert tls.served == [cluster.material().leaf_pem]
    assert tls.bundles == [{published(cluster.material())}]
    assert cluster.objects[SECRET]["type"] == "kubernetes.io/tls"


async def test_a_round_with_nothing_due_writes_nothing(cluster: Cluster, clock: Clock) -> None:
    certificate, tls = replica(cluster, clock)
    await certificate.round()
    writes = len(cluster.writes)
    await certificate.round()
    assert (len(cluster.writes), len(tls.served)) == (writes, 1)


async def test_replicas_that_start_together_agree_on_one_authority(cluster: Cluster, clock: Clock) -> None:
    (first, first_tls), (second, second_tls) = replica(cluster, clock), replica(cluster, clock)
    cluster.before_write.append(second.round)
    await first.round()
    assert cluster.writes.count(SECRET) == 1
    assert first_tls.served == second_tls.served == [cluster.material().leaf_pem]


async def test_replicas_that_renew_together_agree_on_one_leaf(cluster: Cluster, clock: Clock) -> None:
    (first, first_tls), (second, second_tls) = replica(cluster, clock), replica(cluster, clock)
    await first.round()
    await second.round()
    clock.now += timedelta(days=21)
    cluster.before_write.append(second.round)
    await first.round()
    assert first_tls.served == second_tls.served
    assert first_tls.served[-1] == cluster.material().leaf_pem


async def test_through_a_rotation_of_the_authority_both_are_published_before_the_new_leaf_is_served(cluster: Cluster, clock: Clock) -> None:
    certificate, tls = replica(cluster, clock)
    for _ in range(4 * 100):
        await certificate.round()
        clock.now += timedelta(hours=6)
    authorities = {pem for bundles in tls.bundles for pem in bundles}
    assert len(authorities) >= 2
    both = [bundles for bundles in tls.bundles if any(base64.b64decode(pem or "").count(b"BEGIN CERTIFICATE") == 2 for pem in bundles)]
    assert both
    assert all(len(bundles) == 1 for bundles in tls.bundles)


async def test_a_leaf_whose_authority_could_not_be_published_is_not_served(cluster: Cluster, clock: Clock) -> None:
    certificate, tls = replica(cluster, clock)
    await certificate.round()
    cluster.forbidden.add(cluster.path(KINDS[1]))
    while len(cluster.material().authorities) == 1:
        clock.now += timedelta(hours=6)
        await certificate.round()
    clock.now += timedelta(days=2)
    await certificate.round()
    served = list(tls.served)
    assert cluster.material().leaf_pem not in served
    cluster.forbidden.clear()
    await certificate.round()
    assert tls.served[-1] == cluster.material().leaf_pem


async def test_without_configurations_it_serves_and_publishes_once_they_are_there(cluster: Cluster, clock: Clock) -> None:
    kept = {cluster.path(kind): cluster.objects.pop(cluster.path(kind)) for kind in KINDS}
    certificate, tls = replica(cluster, clock)
    await certificate.round()
    assert tls.serving
    cluster.objects.update(kept)
    await certificate.round()
    assert cluster.bundles() == {published(cluster.material())}


async def test_a_bundle_that_somebody_removed_is_put_back(cluster: Cluster, clock: Clock) -> None:
    certificate, _ = replica(cluster, clock)
    await certificate.round()
    del cluster.objects[cluster.path(KINDS[0])]["webhooks"][1]["clientConfig"]["caBundle"]
    await certificate.round()
    assert cluster.bundles() == {published(cluster.material())}


@pytest.mark.parametrize("damage", [{}, {"tls.crt": "!"}, {"tls.crt": 5}, {"ca.crt": base64.b64encode(b"x").decode()}])
async def test_a_damaged_secret_is_made_anew(cluster: Cluster, clock: Clock, damage: dict[str, Any]) -> None:
    certificate, tls = replica(cluster, clock)
    await certificate.round()
    data = cluster.objects[SECRET]["data"]
    cluster.objects[SECRET]["data"] = {**data, **damage} if damage else {}
    await certificate.round()
    assert tls.served[-1] == cluster.material().leaf_pem
    assert cluster.bundles() == {published(cluster.material())}
