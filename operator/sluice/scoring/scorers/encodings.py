"""How a token looks in each encoding, whatever stands around it.

Encodings that work on groups of bits (base64, base32) write the same token differently depending on what comes before it. Of each alignment, the characters
that depend on the token alone are known: they are searched, so that nothing needs to be decoded and no boundary guessed. All forms are reduced to their
letters and digits, as the text is (`sluice.scoring.scorers.folding`): line breaks and separators do not matter.

Not found: compression, encryption, a cipher agreed upon beforehand, words that paraphrase. For those there is no list.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Za-z]+")
_SHORTEST = 12
"""Letters and digits of a form; shorter ones would occur by accident."""


class Encoding(StrEnum):
    """How a token was found."""

    RAW = "Raw"
    RESPELLED = "Respelled"
    """Other letters for the same reader: case, separators, look-alikes, invisible characters."""
    ESCAPED = "Escaped"
    """URL, HTML, JSON or C escapes."""
    REVERSED = "Reversed"
    ROT13 = "Rot13"
    HEX = "Hex"
    BINARY = "Binary"
    BASE32 = "Base32"
    BASE64 = "Base64"
    CHARACTER_CODES = "CharacterCodes"
    """Decimal or octal numbers of its characters."""
    NESTED = "Nested"
    """One of these inside another."""
    SPLIT = "Split"
    """In pieces, in any order, over turns, calls or sentences."""


class View(StrEnum):
    """What of a text a form is searched in."""

    LETTERS = "Letters"
    """Letters and digits as they are."""
    LOWER = "Lower"
    """Letters and digits in lower case."""
    CODES = "Codes"
    """Decimal numbers with one space around each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to write a token."""

    encoding: Encoding
    view: View
    text: str


def forms_of(token: str) -> tuple[Form, ...]:
    """Every form of an ASCII token, those that are simplest first, none twice."""
    return tuple({(form.view, form.text): form for form in reversed(list(_forms(token))) if len(form.text) >= _SHORTEST}.values())[::-1]


def _forms(token: str) -> Iterator[Form]:
    bare = letters(token)
    yield Form(encoding=Encoding.RESPELLED, view=View.LOWER, text=bare.lower())
    yield Form(encoding=Encoding.REVERSED, view=View.LOWER, text=bare.lower()[::-1])
    yield Form(encoding=Encoding.ROT13, view=View.LOWER, text=codecs.encode(bare.lower(), "rot13"))
    # What a model may have encoded: the token, in another case, without its separators, backwards.
    spellings = list(dict.fromkeys((token, token.lower(), token.upper(), bare, token[::-1], bare[::-1])))
    for spelling in spellings:
        for encoded in (spelling.encode("ascii"), spelling.encode("utf-16-le")):
            yield from _encoded(encoded)
            yield from (Form(encoding=form.encoding, view=form.view, text=form.text[::-1]) for form in _encoded(encoded))
    yield from (form for inner in _nestable(token) for outer in _encoded(inner) for form in _nested(outer))


def letters(text: str) -> str:
    """The ASCII letters and digits of an ASCII text."""
    return _NOT_ALPHANUMERIC.sub("", text)


def _encoded(data: bytes) -> Iterator[Form]:
    yield Form(encoding=Encoding.HEX, view=View.LOWER, text=data.hex())
    yield Form(encoding=Encoding.BINARY, view=View.LOWER, text="".join(f"{byte:08b}" for byte in data))
    yield from (Form(encoding=Encoding.BASE64, view=View.LETTERS, text=letters(core)) for core in _base64_cores(data))
    yield from (Form(encoding=Encoding.BASE32, view=View.LOWER, text=core.lower()) for core in _cores(data, bits=5, group=5, encode=base64.b32encode))
    for template in ("d", "o"):
        yield Form(encoding=Encoding.CHARACTER_CODES, view=View.CODES, text=" " + " ".join(format(byte, template) for byte in data) + " ")


def _nestable(token: str) -> Iterator[bytes]:
    """The token encoded once, as the bytes that are encoded once more."""
    data = token.encode("ascii")
    yield data.hex().encode("ascii")
    yield data.hex().upper().encode("ascii")
    yield from (core.encode("ascii") for core in _base64_cores(data))


def _nested(outer: Form) -> Iterator[Form]:
    if outer.encoding in {Encoding.HEX, Encoding.BASE32, Encoding.BASE64}:
        yield Form(encoding=Encoding.NESTED, view=outer.view, text=outer.text)


def _base64_cores(data: bytes) -> list[str]:
    """At each alignment, in the standard and in the URL alphabet."""
    standard = list(_cores(data, bits=6, group=3, encode=base64.b64encode))
    return list(dict.fromkeys((*standard, *(core.replace("+", "-").replace("/", "_") for core in standard))))


def _cores(data: bytes, *, bits: int, group: int, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """What `encode`, which writes groups of `group` bytes as characters of `bits` bits, makes of `data` alone after 0 to `group` − 1 unknown bytes."""
    for before in range(group):
        written = encode(bytes(before) + data).decode("ascii")
        first = -(-8 * before // bits)  # the first character that has no bit of what comes before
        yield written[first : 8 * (before + len(data)) // bits]
