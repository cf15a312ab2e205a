"""The controller's public keys as it publishes them: one PEM file for each key that it has ever had, and a `TrustRoot` of all of them, ready to apply.

A key that was replaced stays, or everything that it has signed would count for nothing; whoever does not trust it any more deletes its entry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sluice.api.names import API_VERSION, CONTROLLER_KEY
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.keys import VerificationKey
from sluice.provenance.strict_json import canonical
from sluice.provenance.trust import KEY_LIMIT, TrustAnchors

TRUST_ROOT_ENTRY = "trust-root.json"
_SUFFIX = ".pem"
_DIGITS = 16

log = logging.getLogger(__name__)


def entry_of(fingerprint: str) -> str:
    """Name the entry of a key (`sha256:…`): `<first 16 digits>.pem`."""
    return fingerprint.removeprefix("sha256:")[:_DIGITS] + _SUFFIX


def read_published(entries: Mapping[str, str]) -> TrustAnchors | None:
    """Read the keys among `entries` (file name to text); None when there is none.

    One that does not parse is left out, and a warning names it: what it signed counts for nothing, and all else does.
    """
    pems: dict[str, str] = {}
    fingerprints = set()
    for name in sorted(entries):
        if not name.endswith(_SUFFIX):
            continue
        try:
            key = VerificationKey.from_pem(name, entries[name])
        except ProvenanceError as error:
            log.warning("public keys of the controller: entry %s is left out: %s", name, error)
            continue
        if key.fingerprint not in fingerprints and len(pems) < KEY_LIMIT:
            fingerprints.add(key.fingerprint)
            pems[name.removesuffix(_SUFFIX)] = entries[name]
    return TrustAnchors.keys(CONTROLLER_KEY, pems) if pems else None


def with_key(entries: Mapping[str, str], *, fingerprint: str, public_pem: str) -> dict[str, str]:
    """Add a key to `entries`, and write the TrustRoot of all of them. Raises ValueError: there are as many as a TrustRoot holds."""
    pems = {name: text for name, text in entries.items() if name.endswith(_SUFFIX)} | {entry_of(fingerprint): public_pem}
    if len(pems) > KEY_LIMIT:
        raise ValueError(f"{len(pems)} public keys of the controller; at most {KEY_LIMIT} are read: delete those that nothing relies on any more")
    keys = [{"name": name.removesuffix(_SUFFIX), "pem": pem} for name, pem in sorted(pems.items())]
    trust_root = {"apiVersion": API_VERSION, "kind": "TrustRoot", "metadata": {"name": CONTROLLER_KEY}, "spec": {"keys": keys}}
    return pems | {TRUST_ROOT_ENTRY: canonical(trust_root).decode()}
