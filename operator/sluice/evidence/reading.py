"""Strings, times, digests and licences as documents of several formats spell them, brought to one spelling.

Documents are read as raw JSON: libraries for these formats drop what they do not know (`modelCard`), and a JSON-LD processor would fetch contexts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from sluice.provenance.digests import HEX_DIGITS, hex_digits, is_hex_digest
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member

MALFORMED = Reason.PredicateMalformed
ELEMENT_LIMIT = 4096
"""Components, elements, files: of any document."""
_LICENCES = ("https://spdx.org/licenses/", "http://spdx.org/licenses/")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_PAGES = (".html", ".json")
_ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "BLAKE2b-512": "blake2b", "BLAKE3": "blake3"} | {name: name for name in HEX_DIGITS}
)
"""CycloneDX's names of algorithms, and SPDX's, which are in-toto's."""


def texts(parent: JsonObject, key: str, *, where: str, limit: int) -> tuple[str, ...]:
    """Read a list of at most `limit` strings that can be shown to people. Raises ProvenanceError (PredicateMalformed)."""
    return strings(member(parent, key, list, where=where, reason=MALFORMED), where=f"{where}.{key}", limit=limit)


def strings(value: JsonValue, *, where: str, limit: int) -> tuple[str, ...]:
    """Read one string, or a list of at most `limit`: JSON-LD writes a list of one as its member. Raises ProvenanceError (PredicateMalformed)."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) > limit:
        raise ProvenanceError(MALFORMED, f"{where} has {len(listed)} entries; at most {limit} are read")
    return tuple(text({str(index): each}, str(index), where=where, reason=MALFORMED) for index, each in enumerate(listed))


def moment(parent: JsonObject, key: str, *, where: str) -> datetime:
    """Read a time in its one spelling: UTC, whole seconds. Raises ProvenanceError (PredicateMalformed)."""
    said = text(parent, key, where=where, reason=MALFORMED)
    try:
        return datetime.strptime(said, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ProvenanceError(MALFORMED, f"{where}.{key} is {said[:40]!r}; it is written like 2026-01-31T12:00:00Z") from None


def hashed(algorithm: str, value: str, *, where: str) -> str | None:
    """Give a digest as `algorithm:hex`; None for an algorithm that we do not know. Both cases of hexadecimal digits are in use, and mean the same.

    Raises ProvenanceError (PredicateMalformed): the value is no digest by that algorithm.
    """
    known = _ALGORITHMS.get(algorithm)
    if known is None:
        return None
    if not is_hex_digest(known, value.lower()):
        raise ProvenanceError(MALFORMED, f"{where} is not {hex_digits(known)} hexadecimal digits, which {algorithm} has")
    return f"{known}:{value.lower()}"


def licence(said: str) -> str:
    """Give the SPDX identifier where `said` is the address of its page; anything else stays as it is."""
    for prefix in _LICENCES:
        if said.startswith(prefix):
            name = said.removeprefix(prefix)
            return next((name.removesuffix(page) for page in _PAGES if name.endswith(page)), name)
    return said
