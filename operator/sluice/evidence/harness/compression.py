"""Compressed bytes of strangers, unpacked up to a number of bytes: Deflate, Zstandard, and whole files by gzip or Zstandard.

Specifications: RFC 1951 (Deflate), RFC 1952 (gzip), RFC 8878 (Zstandard).
"""

from __future__ import annotations

import zlib

from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

from sluice.provenance.errors import ProvenanceError, Reason

_WINDOW_LOG = 23
"""8 MiB: what every decoder has to support (RFC 8878, 3.1.1.1.2), and no more."""
_FRAME_LIMIT = 64
"""Of one member. Each is copied once, so a member of a hundred thousand empty frames would take minutes."""
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MALFORMED = Reason.RawResultMalformed


def unpacked(content: bytes, *, limit: int, what: str) -> bytes:
    """Unpack a file that is compressed by gzip or Zstandard, as its first bytes say; any other stays what it is.

    Raises ProvenanceError (RawResultMalformed): it comes to more than `limit` bytes, is cut short, or goes on after its end.
    """
    if content.startswith(_GZIP):
        raw = _gunzipped(content, limit, what)
    elif content.startswith(_ZSTANDARD):
        raw = zstandard(content, limit + 1, what=what)
    else:
        return content
    if len(raw) > limit:
        raise ProvenanceError(_MALFORMED, f"{what} unpacks to more than {limit:,} bytes")
    return raw


def inflate(packed: bytes, most: int, *, what: str) -> bytes:
    """Unpack at most `most` bytes of a Deflate stream. Whether it ends there is for its checksum to say. Raises ProvenanceError (RawResultMalformed)."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
    except zlib.error as error:
        raise ProvenanceError(_MALFORMED, f"{what} is no Deflate stream that is read: {error}") from None


def zstandard(packed: bytes, most: int, *, what: str) -> bytes:
    """Unpack at most `most` bytes of one frame or several. Raises ProvenanceError (RawResultMalformed): they are not whole, or too many."""
    raw = b""
    try:
        for _ in range(_FRAME_LIMIT):
            decompressor = ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG})
            raw += decompressor.decompress(packed, most - len(raw))
            packed = decompressor.unused_data
            if len(raw) == most or (decompressor.eof and not packed):
                return raw
            if not decompressor.eof:
                raise ProvenanceError(_MALFORMED, f"{what} is cut short")
    except ZstdError as error:
        raise ProvenanceError(_MALFORMED, f"{what} is no Zstandard frame that is read: {error}") from None
    raise ProvenanceError(_MALFORMED, f"{what} has more than {_FRAME_LIMIT} Zstandard frames")


def _gunzipped(content: bytes, limit: int, what: str) -> bytes:
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    try:
        raw = decompressor.decompress(content, limit + 1)
    except zlib.error as error:
        raise ProvenanceError(_MALFORMED, f"{what} is no gzip that is read: {error}") from None
    if len(raw) <= limit and (not decompressor.eof or decompressor.unused_data):
        raise ProvenanceError(_MALFORMED, f"{what} is cut short, or goes on after its end")
    return raw
