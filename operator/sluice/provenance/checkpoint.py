"""A log's signature over its whole tree, and that an entry is in that tree.

Specifications: C2SP signed-note and tlog-checkpoint (https://c2sp.org), RFC 6962 sections 2.1 and 2.1.1 (the Merkle tree and its audit paths; RFC 9162 section
2.1.3.2 spells the check out).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.provenance.encoding import decoded
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.log_key import LogKey

PROOF_LIMIT = 64
"""Hashes in an inclusion proof: the height of a tree of 2^64 leaves."""

_SIGNATURE_LIMIT = 64
_INVALID = Reason.LogEntryInvalid
_DASH = "\N{EM DASH} "
_KEY_ID_BYTES = 4
_ROOT_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of its tree. Verified only when `check_signed` did not raise."""

    text: bytes
    """What the signatures are over."""
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes], ...]
    """Name, and key id with signature, of the log and of witnesses."""

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """Read a signed note that holds a checkpoint. Raises ProvenanceError (LogEntryInvalid)."""
        text, blank, block = note.partition("\n\n")
        lines = text.split("\n")
        if not blank or len(lines) < 3 or not all(lines):  # noqa: PLR2004 - origin, size, root
            raise ProvenanceError(_INVALID, "the checkpoint is no signed note of an origin, a size and a root hash")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or len(size) > 20 or str(int(size)) != size:  # noqa: PLR2004 - digits of 2^64
            raise ProvenanceError(_INVALID, f"the checkpoint's tree size is {size[:24]!r}, no number")
        *signed, rest = block.split("\n")
        if rest or not 1 <= len(signed) <= _SIGNATURE_LIMIT:
            raise ProvenanceError(_INVALID, f"the checkpoint has no block of 1 to {_SIGNATURE_LIMIT} signature lines")
        return cls(
            text=f"{text}\n".encode(),
            origin=origin,
            size=int(size),
            root=decoded(root, where="the checkpoint's root hash", reason=_INVALID),
            signatures=tuple(_signature(line) for line in signed),
        )

    def check_signed(self, log: LogKey) -> None:
        """Check that `log` signed; signatures of others, such as witnesses, are passed over. Raises ProvenanceError (LogEntryInvalid)."""
        # A name other than the origin's is another signer's, whatever its key id says. Rekor version 1 adds the tree's number to its own name.
        own = [
            content[_KEY_ID_BYTES:]
            for name, content in self.signatures
            if content[:_KEY_ID_BYTES] == log.checkpoint_id[:_KEY_ID_BYTES] and (self.origin == name or self.origin.startswith(f"{name} - "))
        ]
        if not own:
            raise ProvenanceError(_INVALID, f"the checkpoint of {self.origin[:80]!r} is not signed by the log that the entry names")
        if not all(log.key.verifies(signature, self.text) for signature in own):
            raise ProvenanceError(_INVALID, f"the log's signature on the checkpoint of {self.origin[:80]!r} does not hold")


def _signature(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or not space:
        raise ProvenanceError(_INVALID, "a signature line of the checkpoint is no dash, name and signature")
    content = decoded(encoded, where="a signature of the checkpoint", reason=_INVALID)
    if len(content) <= _KEY_ID_BYTES:
        raise ProvenanceError(_INVALID, "a signature of the checkpoint is too short")
    return name, content


def root_of(body: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of the tree of `size` leaves that has `body` at `index`, by its audit path. Raises ProvenanceError (LogEntryInvalid)."""
    if not 0 <= index < size:
        raise ProvenanceError(_INVALID, f"the inclusion proof is for entry {index} of a tree of size {size}")
    if len(path) > PROOF_LIMIT or any(len(node) != _ROOT_BYTES for node in path):
        raise ProvenanceError(_INVALID, f"the inclusion proof is no list of at most {PROOF_LIMIT} SHA-256 hashes")
    node, last, result = index, size - 1, hashlib.sha256(b"\0" + body).digest()
    for sibling in path:
        if last == 0:
            raise ProvenanceError(_INVALID, f"the inclusion proof has too many hashes for a tree of size {size}")
        if node & 1 or node == last:
            result = hashlib.sha256(b"\1" + sibling + result).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\1" + result + sibling).digest()
        node, last = node >> 1, last >> 1
    if last:
        raise ProvenanceError(_INVALID, f"the inclusion proof has too few hashes for a tree of size {size}")
    return result
