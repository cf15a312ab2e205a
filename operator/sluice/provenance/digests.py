"""Digests as this package writes them: `sha256:` and 64 lower-case hexadecimal digits.

One spelling each: two spellings of one digest are two cache keys, two approvals and one bypass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType

HEX_DIGITS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"sha256": (64,), "sha384": (96,), "sha512": (128,), "blake2b": (128,), "blake3": (64,), "gitCommit": (40, 64)}
)
"""Algorithms that we understand, with the lengths of their hexadecimal form. `gitCommit` is SHA-1, or SHA-256 in a repository of that object format."""

_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


def sha256_of(content: bytes) -> str:
    """`sha256:<hex>` of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def is_hex_digest(algorithm: str, value: str) -> bool:
    """Whether `value` is the lower-case hexadecimal form of a digest by `algorithm`, one of `HEX_DIGITS`."""
    return len(value) in HEX_DIGITS.get(algorithm, ()) and _HEX.fullmatch(value) is not None


def hex_digits(algorithm: str) -> str:
    """How many digits a digest by `algorithm` has, in words."""
    return " or ".join(map(str, HEX_DIGITS[algorithm]))
