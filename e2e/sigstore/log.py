"""The transparency logs: one Merkle tree (RFC 6962 section 2), spoken in Rekor's first and second protocol.

Version 1 dates its entries and promises inclusion (signed entry timestamp, ECDSA); version 2 does neither and signs checkpoints with Ed25519
(C2SP signed note). The tree forgets nothing while the process runs; between processes the leaves are kept in a file beside the keys.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from e2e.sigstore.authority import key_id
from e2e.sigstore.entries import b64

LogKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(slots=True, kw_only=True)
class TransparencyLog:
    """A log under `origin`. Its key decides the protocol: ECDSA speaks version 1, Ed25519 version 2."""

    origin: str
    key: LogKey
    leaves: list[bytes] = field(default_factory=list)
    """RFC 6962 leaf hashes."""

    @property
    def log_id(self) -> bytes:
        """Version 1: SHA-256 over the public key. Version 2: the key id of C2SP's signed note, in full."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return key_id(self.key.public_key())
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(self.origin.encode() + b"\n\x01" + raw).digest()

    @property
    def public_der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def append(self, body: dict[str, Any], *, when: datetime) -> dict[str, Any]:
        """Log `body` and return the bundle's `tlogEntries[0]`; `when` is the time that a version 1 log gives the entry."""
        content = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        self.leaves.append(hashlib.sha256(b"\0" + content).digest())
        index = len(self.leaves) - 1
        entry: dict[str, Any] = {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "inclusionProof": self.inclusion_proof(index),
            "canonicalizedBody": b64(content),
        }
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            seconds = int(when.timestamp())
            promised = {"body": b64(content), "integratedTime": seconds, "logID": self.log_id.hex(), "logIndex": index}
            entry["integratedTime"] = str(seconds)
            entry["inclusionPromise"] = {"signedEntryTimestamp": b64(self._sign(json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()))}
        return entry

    def inclusion_proof(self, index: int) -> dict[str, Any]:
        """That entry `index` is in the tree as it is now."""
        root = _root(self.leaves)
        return {
            "logIndex": str(index),
            "rootHash": b64(root),
            "treeSize": str(len(self.leaves)),
            "hashes": [b64(each) for each in _path(index, self.leaves)],
            "checkpoint": {"envelope": self._checkpoint(root)},
        }

    def _checkpoint(self, root: bytes) -> str:
        """C2SP tlog-checkpoint, as a signed note with this log's one signature."""
        note = f"{self.origin}\n{len(self.leaves)}\n{b64(root)}\n"
        return f"{note}\n\N{EM DASH} {self.origin} {b64(self.log_id[:4] + self._sign(note.encode()))}\n"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(content, ec.ECDSA(hashes.SHA256()))
        return self.key.sign(content)


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return hashlib.sha256(b"\1" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """The inclusion proof of leaf `index` (RFC 6962 section 2.1.1)."""
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*_path(index, leaves[:middle]), _root(leaves[middle:])]
    return [*_path(index - middle, leaves[middle:]), _root(leaves[:middle])]
