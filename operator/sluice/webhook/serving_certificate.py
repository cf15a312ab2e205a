"""Keeps the serving certificate: one Secret for all replicas, the `caBundle` of both webhook configurations, and the context of the listener.

Each replica does the same round again and again: read the Secret; if something is due, write what follows, under its resourceVersion; publish the CAs; serve
the leaf. Whoever writes second gets a conflict and adopts what the first wrote, so there are never two CAs for one moment.
Publishing comes before serving, and a leaf whose CA could not be published is not served while there is another one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice.cluster.client import ApiClient
from sluice.cluster.errors import ApiError, Conflict, NotFound
from sluice.cluster.resource import Resource
from sluice.webhook.certificates import Lifetimes, Material, MaterialMalformedError, renew
from sluice.webhook.tls import SwappableTls

SECRETS: Final = Resource(group="", version="v1", plural="secrets", kind="Secret")
CONFIGURATIONS: Final = tuple(
    Resource(group="admissionregistration.k8s.io", version="v1", plural=f"{kind.lower()}s", kind=kind, namespaced=False)
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
)

_ROUNDS: Final = 5
"""Attempts to write the Secret in one go: with as many replicas, each loses at most to each other once."""

log: Final = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the certificate is kept and published, and the names it is for."""

    namespace: str
    secret: str
    configuration: str
    """Name of both webhook configurations."""
    names: Sequence[str]


class ServingCertificate:
    """Run `run()` as a task. Until its first round is through, `tls` refuses handshakes."""

    def __init__(self, client: ApiClient, tls: SwappableTls, place: Place, lifetimes: Lifetimes, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._client = client
        self._tls = tls
        self._place = place
        self._lifetimes = lifetimes
        self._now = now
        self._served: bytes = b""
        self.expires: datetime | None = None

    async def run(self, *, check_seconds: float) -> None:
        """Do a round every `check_seconds` until cancelled; a round that fails is logged and done again."""
        while True:
            try:
                await self.round()
            except (ApiError, ssl.SSLError) as error:
                log.warning("the serving certificate could not be looked after: %s", error)
            await asyncio.sleep(check_seconds if self._tls.serving else min(1.0, check_seconds))

    async def round(self) -> None:
        """Bring Secret, caBundle and listener to what is due now. Raises `ApiError` and `ssl.SSLError`; what is served stays then."""
        material = await self._agreed()
        published = await self._publish(material.bundle_pem)
        if material.leaf_pem != self._served and (published or not self._tls.serving):
            self._tls.swap(certificate_pem=material.leaf_pem, key_pem=material.leaf_key_pem)
            self._served, self.expires = material.leaf_pem, material.leaf.not_valid_after_utc
            log.info("serving a certificate that is valid until %s", self.expires.isoformat())

    async def _agreed(self) -> Material:
        """What all replicas go by: what is stored, brought up to date."""
        path = SECRETS.path(self._place.namespace, self._place.secret)
        for _ in range(_ROUNDS):
            stored = await self._stored(path)
            current = _read(stored)
            material = renew(current, self._place.names, self._lifetimes, now=self._now())
            if material is current:
                return material
            data = {name: base64.b64encode(part).decode() for name, part in material.stored().items()}
            try:
                if stored is None:
                    metadata = {"name": self._place.secret, "namespace": self._place.namespace}
                    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
                    await self._client.create(SECRETS, secret, self._place.namespace)
                else:
                    await self._client.replace(path, {**stored, "data": data})
            except Conflict:
                continue  # Another replica was faster: adopt what it wrote.
            return material
        raise Conflict(409, "Conflict", f"Secret {self._place.namespace}/{self._place.secret} changes all the time")

    async def _stored(self, path: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(path)
        except NotFound:
            return None

    async def _publish(self, bundle_pem: bytes) -> bool:
        """Write the CAs into both configurations; return whether both have them now."""
        bundle = base64.b64encode(bundle_pem).decode()
        done = True
        for resource in CONFIGURATIONS:
            path = resource.path(name=self._place.configuration)
            try:
                current = await self._client.get(path)
                if any((webhook.get("clientConfig") or {}).get("caBundle") != bundle for webhook in current.get("webhooks") or ()):
                    await self._client.patch_json(path, _with_bundle(current, bundle))
            except ApiError as error:
                log.warning("%s %s: the CA could not be published: %s", resource.kind, self._place.configuration, error)
                done = False
        return done


def _with_bundle(configuration: dict[str, Any], bundle: str) -> list[dict[str, object]]:
    """Set `caBundle` of every entry, if the configuration is still the one we saw: entries are addressed by index."""
    operations: list[dict[str, object]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": configuration["metadata"]["resourceVersion"]}]
    for index, _ in enumerate(configuration.get("webhooks") or ()):
        operations.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
    return operations


def _read(secret: dict[str, Any] | None) -> Material | None:
    if secret is None:
        return None
    try:
        return Material.read({name: base64.b64decode(part, validate=True) for name, part in (secret.get("data") or {}).items()})
    except (MaterialMalformedError, binascii.Error, TypeError) as error:
        log.warning("Secret %s holds no usable certificate and gets a new one: %s", secret["metadata"]["name"], error)
        return None
