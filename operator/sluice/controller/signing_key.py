"""The controller's key: made once, kept in a Secret of the installation's own namespace, its public half in a ConfigMap for everybody who verifies.

Both are made by the leader when they are missing, and stand in no template: an upgrade of the chart, or a GitOps tool that renders it again, cannot replace
them. To rotate: delete the Secret and restart the controller. It makes a new key and publishes it beside the old ones (`sluice.provenance.published`).
"""

from __future__ import annotations

import base64
import binascii
import logging
from typing import Final

from sluice.api.names import CONTROLLER_KEY
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import CONFIG_MAPS, SECRETS
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.published import read_published, with_key
from sluice.provenance.signing import SigningKey
from sluice.provenance.trust import TrustAnchors
from sluice.rollout.owned import found

_KEY: Final = "key.pem"
_ROUNDS: Final = 5

log: Final = logging.getLogger(__name__)


class KeyUnusableError(RuntimeError):
    """The Secret is there and holds no key: nothing is overwritten that somebody may still restore."""


class ControllerKey:
    """The key of this process, once it leads."""

    def __init__(self) -> None:
        self._signing: SigningKey | None = None

    @property
    def signing(self) -> SigningKey:
        """The key. Raises RuntimeError before `load`: nothing is signed by a process that does not lead."""
        if self._signing is None:
            raise RuntimeError("the signing key is not loaded yet")
        return self._signing

    async def load(self, client: ApiClient, namespace: str) -> TrustAnchors:
        """Find or make the key, publish it, and give all that are published. Raises `ApiError` and `KeyUnusableError`."""
        self._signing = await _kept(client, namespace)
        anchors = await _published(client, namespace, self._signing)
        log.info("signs with key %s; %d are published", self._signing.fingerprint, len(anchors.named_keys))
        return anchors


async def _kept(client: ApiClient, namespace: str) -> SigningKey:
    path = SECRETS.path(namespace, CONTROLLER_KEY)
    stored = await found(client, path)
    if stored is None:
        made = SigningKey.generate()
        data = {_KEY: base64.b64encode(made.private_pem()).decode("ascii")}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CONTROLLER_KEY, "namespace": namespace}, "type": "Opaque", "data": data}
        try:
            await client.create(SECRETS, secret, namespace)
        except Conflict:
            # A request of ours, or of the process before us, got through though nobody heard of it.
            stored = await client.get(path)
        else:
            log.info("made a signing key, %s", made.fingerprint)
            return made
    try:
        return SigningKey.from_pem(base64.b64decode((stored.get("data") or {}).get(_KEY) or "", validate=True))
    except (ProvenanceError, binascii.Error):
        message = f"Secret {namespace}/{CONTROLLER_KEY} holds no usable {_KEY}: restore it, or delete the Secret to have a new key made"
        raise KeyUnusableError(message) from None


async def _published(client: ApiClient, namespace: str, key: SigningKey) -> TrustAnchors:
    path = CONFIG_MAPS.path(namespace, CONTROLLER_KEY)
    for _ in range(_ROUNDS):
        stored = await found(client, path)
        before = dict((stored or {}).get("data") or {})
        wanted = with_key(before, fingerprint=key.fingerprint, public_pem=key.public_pem)
        try:
            if stored is None:
                metadata = {"name": CONTROLLER_KEY, "namespace": namespace}
                fresh: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": wanted}
                await client.create(CONFIG_MAPS, fresh, namespace)
            elif wanted != before:
                await client.replace(path, {**stored, "data": wanted})
        except Conflict:
            continue
        anchors = read_published(wanted)
        if anchors is None or key.fingerprint not in {known.fingerprint for known in anchors.named_keys.values()}:
            raise KeyUnusableError(f"ConfigMap {namespace}/{CONTROLLER_KEY} does not take the key of the controller: delete the entries that are not its keys")
        return anchors
    raise Conflict(409, "Conflict", f"ConfigMap {namespace}/{CONTROLLER_KEY} changes all the time")
