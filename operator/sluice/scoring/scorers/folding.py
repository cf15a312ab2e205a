"""Text as its reader sees it, not as it is spelled: escapes undone, look-alikes and invisible letters folded to ASCII.

A model that is asked to leak does it "with a dot after each letter", in mathematical bold, with zero-width spaces, or in Unicode tags that no screen shows. All
of these end in the same ASCII letters and digits here, and everything between them is gone.

Works character by character on purpose: `unicodedata.normalize` of a whole text sorts runs of combining marks in quadratic time, and the text is the model's.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

ESCAPE_LAYERS = 3
"""How many escapes around each other are undone: `%2541` is two."""

_LOOKALIKES: Mapping[str, str] = dict(
    zip(
        # Cyrillic, then Greek, then Latin letters without decomposition.
        "АВЕЅІЈКМНОРСТУХҮԌԚԜаеорсухіјѕһӏԁԛԝвкмнтѵ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχ" + "ıȷøØłŁđĐħĦɑɡɩʏ",
        "ABESIJKMHOPCTYXYGQWaeopcyxijshldqwbkmhtv" + "ABEZHIKMNOPTYXabeiknoptux" + "ijoOlLdDhHagiy",
        strict=True,
    )
)
_ALPHABETS = (
    # First code point, first ASCII character, how many: letters in squares and flags, and the tags of plane 14, which nothing shows.
    (0x1F150, "A", 26),
    (0x1F170, "A", 26),
    (0x1F1E6, "A", 26),
    (0xE0020, " ", 95),
)
_VARIATION_SELECTORS = (0xE0100, 0x10, 112)
"""The same for variation selectors, which carry bytes: the selector of a byte is its value above U+E00F0; from 16 on, as far as ASCII goes."""

_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Za-z]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# Every quantifier is bounded: an attempt at one position reads at most nine characters.
_ESCAPE = re.compile(
    r"\\x(?P<x>[0-9a-f]{2})|\\u(?P<u>[0-9a-f]{4})|\\u\{(?P<braced>[0-9a-f]{1,6})\}|\\(?P<octal>[0-7]{3})"
    r"|&\#x(?P<entity>[0-9a-f]{1,6});?|&\#(?P<decimal>[0-9]{1,7});?|=(?P<quoted>[0-9a-f]{2})|\b0x(?P<zero>[0-9a-f]{2})(?![0-9a-f])|u\+(?P<plus>[0-9a-f]{4,6})",
    re.IGNORECASE,
)
_BASES = {"octal": 8, "decimal": 10}


def squeezed(text: str) -> str:
    """The ASCII letters and digits of `text`, in order, after folding."""
    return _NOT_ALPHANUMERIC.sub("", folded(text))


def folded(text: str) -> str:
    """`text` with every character that is not ASCII replaced by the ASCII letters and digits that it stands for, or by nothing. Linear in its length."""
    if text.isascii():
        return text
    # By distinct character: a text has many characters and few different ones.
    return text.translate({ord(character): _ascii(character) for character in set(_NOT_ASCII.findall(text))})


def unescaped(text: str) -> str:
    """`text` with one layer of URL, HTML, JSON, C and quoted-printable escapes undone. Linear in its length."""
    return _ESCAPE.sub(_character, unquote(text) if "%" in text else text)


def readings(text: str) -> tuple[str, ...]:
    """`text`, and what it says under each layer of escapes; without repetitions."""
    found = [text]
    for _ in range(ESCAPE_LAYERS):
        inner = unescaped(found[-1])
        if inner == found[-1]:
            break
        found.append(inner)
    return tuple(found)


def _character(match: re.Match[str]) -> str:
    name = match.lastgroup or ""
    code = int(match[name], _BASES.get(name, 16))
    return chr(code) if code <= sys.maxunicode else match[0]


@lru_cache(maxsize=4096)
def _ascii(character: str) -> str:
    code = ord(character)
    for first, start, count in _ALPHABETS:
        if first <= code < first + count:
            return chr(ord(start) + code - first)
    first, byte, count = _VARIATION_SELECTORS
    if first <= code < first + count:
        return chr(byte + code - first)
    parts = unicodedata.normalize("NFKD", character)
    return _NOT_ALPHANUMERIC.sub("", "".join(_LOOKALIKES.get(part, part) for part in parts))
