"""One spelling of everything in a bundle: base64, 64-bit integers and bytes as protobuf's JSON mapping writes them.

A second spelling of the same value is refused wherever it stands: what two readers could read differently, somebody will make them read differently.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import JsonObject, JsonValue, member, optional

_INT64_MAX = 2**63 - 1


def decoded(text: str, *, where: str, reason: Reason = Reason.BundleMalformed) -> bytes:
    """Canonical base64 (RFC 4648 section 4): padded, no junk, no stray bits. Raises ProvenanceError (`reason`)."""
    try:
        encoded = text.encode("ascii")
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ProvenanceError(reason, f"{where} is not base64") from None
    if binascii.b2a_base64(content, newline=False) != encoded:
        raise ProvenanceError(reason, f"{where} is base64 with another spelling of the same bytes; encode it anew")
    return content


def base64_member(parent: Mapping[str, JsonValue], key: str, *, where: str, reason: Reason = Reason.BundleMalformed) -> bytes:
    """The bytes at `parent[key]`, which must be there and not be empty. Raises ProvenanceError (`reason`)."""
    content = decoded(member(parent, key, str, where=where, reason=reason), where=f"{where}.{key}", reason=reason)
    if not content:
        raise ProvenanceError(reason, f"{where}.{key} is empty")
    return content


def integer_member(parent: Mapping[str, JsonValue], key: str, *, where: str, reason: Reason) -> int:
    """The int64 at `parent[key]`, written as a string of digits; 0 when it is left out, as protobuf does. Negative ones are refused."""
    text = optional(parent, key, str, where=where, reason=reason)
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_INT64_MAX)) or (len(text) > 1 and text[0] == "0") or int(text) > _INT64_MAX:
        raise ProvenanceError(reason, f"{where}.{key} is {text[:40]!r} where a number belongs, in digits, from 0 to 2^63-1")
    return int(text)


def refuse_unknown(value: JsonObject, known: set[str], *, where: str, reason: Reason = Reason.BundleMalformed) -> None:
    """Refuse members that `where` does not have: what we do not know we cannot have checked. Raises ProvenanceError (`reason`)."""
    if not value.keys() <= known:
        unknown = min(value.keys() - known)
        raise ProvenanceError(reason, f"{where} has a member {unknown[:80]!r} that we do not know; fields are written in lowerCamelCase")


def encoded(content: bytes) -> str:
    """`content` in canonical base64."""
    return binascii.b2a_base64(content, newline=False).decode("ascii")
