"""Members of a ZIP archive, as far as Inspect's logs need it: stored, deflated, or compressed with Zstandard (method 93).

`zipfile` of Python 3.11 does not know Zstandard, and trusts what an archive says of itself. Here nothing that the archive states is believed: members are
decompressed up to a budget for all of them together, and then have to be of the stated size and checksum. No ZIP64, no encryption, one disk, no name twice.

Specification: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from sluice.evidence.harness.compression import inflate, zstandard
from sluice.provenance.errors import ProvenanceError, Reason

MEMBER_LIMIT = 16_384
BUDGET = 8_388_608
"""Bytes that all members of an archive that are read come to, at most."""
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x1
_COMMENT_LIMIT = 0xFFFF
_MALFORMED = Reason.RawResultMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    method: int
    checksum: int
    packed: int
    size: int
    offset: int


@dataclass(slots=True)
class Archive:
    """An archive in memory. Reading members spends its budget."""

    content: bytes
    members: dict[str, _Member] = field(init=False)
    left: int = field(default=BUDGET, init=False)

    def __post_init__(self) -> None:
        self.members = dict(self._entries())

    def read(self, name: str) -> bytes:
        """Give the bytes of a member. Raises ProvenanceError (RawResultMalformed)."""
        member = self.members.get(name)
        if member is None:
            raise ProvenanceError(_MALFORMED, f"the archive has no {name[:100]!r}")
        raw = self._unpacked(name, member)
        if len(raw) != member.size or zlib.crc32(raw) != member.checksum:
            raise ProvenanceError(_MALFORMED, f"{name[:100]!r} in the archive is not what its entry says: size or checksum differ")
        self.left -= len(raw)
        return raw

    def _entries(self) -> Iterator[tuple[str, _Member]]:
        start = self.content.rfind(b"PK\x05\x06", max(0, len(self.content) - _END.size - _COMMENT_LIMIT))
        if start < 0 or start + _END.size > len(self.content):
            raise ProvenanceError(_MALFORMED, "the archive has no central directory: it is cut short")
        _, disk, first_disk, here, count, _, at, _ = _END.unpack_from(self.content, start)
        if (disk, first_disk, here) != (0, 0, count):
            raise ProvenanceError(_MALFORMED, "the archive is one of several disks")
        if count > MEMBER_LIMIT:
            raise ProvenanceError(_MALFORMED, f"the archive has {count:,} members; at most {MEMBER_LIMIT:,} are read")
        seen: set[str] = set()
        for number in range(1, count + 1):
            if at + _ENTRY.size > start:
                raise ProvenanceError(_MALFORMED, "the archive's central directory ends early")
            signature, _, _, flags, method, _, _, checksum, packed, size, name_length, extra, comment, _, _, _, offset = _ENTRY.unpack_from(self.content, at)
            try:
                name = self.content[at + _ENTRY.size : at + _ENTRY.size + name_length].decode("utf-8")
            except UnicodeDecodeError:
                raise ProvenanceError(_MALFORMED, f"member {number} of the archive has a name that is no UTF-8") from None
            if signature != b"PK\x01\x02" or flags & _ENCRYPTED or name in seen:
                raise ProvenanceError(_MALFORMED, f"member {name[:100]!r} of the archive is there twice, encrypted, or has no entry")
            seen.add(name)
            yield name, _Member(method=method, checksum=checksum, packed=packed, size=size, offset=offset)
            at += _ENTRY.size + name_length + extra + comment

    def _unpacked(self, name: str, member: _Member) -> bytes:
        if member.offset + _LOCAL.size > len(self.content):
            raise ProvenanceError(_MALFORMED, f"{name[:100]!r} is not inside the archive")
        signature, *_, name_length, extra = _LOCAL.unpack_from(self.content, member.offset)
        begin = member.offset + _LOCAL.size + name_length + extra
        if signature != b"PK\x03\x04" or begin + member.packed > len(self.content):
            raise ProvenanceError(_MALFORMED, f"{name[:100]!r} is not inside the archive")
        packed = self.content[begin : begin + member.packed]
        # One byte more than may be used: whoever gets it was too large.
        most = self.left + 1
        match member.method:
            case 0:  # stored
                raw = packed[:most]
            case 8:
                raw = inflate(packed, most, what=repr(name[:100]))
            case 93:
                raw = zstandard(packed, most, what=repr(name[:100]))
            case other:
                raise ProvenanceError(_MALFORMED, f"{name[:100]!r} is compressed by method {other}; stored (0), deflated (8) and Zstandard (93) are read")
        if len(raw) > self.left:
            raise ProvenanceError(_MALFORMED, f"the archive unpacks to more than {BUDGET:,} bytes")
        return raw
