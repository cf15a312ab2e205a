"""States and references as JSON and back, bit for bit.

Floats are written as the shortest text that reads back as the same float, so a detector that is stored and read again is the same detector.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sluice.api.strict_json import JsonRefused, canonical, parse
from sluice.provenance.digests import sha256_of
from sluice.scoring.drift.refused import DriftRefused

STORED_LIMIT = 256 * 1024
"""Bytes of a stored state or reference; the largest that our own limits allow is well below."""
_WHERE_LIMIT = 3

T = TypeVar("T")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}  # by kind: making one takes milliseconds, using it takes none


def dump(value: object) -> bytes:
    """Canonical JSON of a dataclass of this package."""
    return canonical(_adapter(type(value)).dump_python(value, mode="json"))


def load(kind: type[T], raw: bytes) -> T:
    """What `dump` wrote. Raises DriftRefused for anything else."""
    try:
        parse(raw, limit=STORED_LIMIT)
        value: T = _adapter(kind).validate_json(raw, strict=True)
        return value
    except JsonRefused as refused:
        raise DriftRefused(f"the stored {kind.__name__} {refused}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors()[:_WHERE_LIMIT])
        raise DriftRefused(f"the stored {kind.__name__} is not one: {wrong}") from None


def digest(value: object) -> str:
    """`sha256:<hex>` over the canonical bytes."""
    return sha256_of(dump(value))


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
