"""What identifies a person, or opens a door, is replaced before anything is kept.

The same secret gets the same placeholder within a recording, so that a conversation still makes sense: `[EMAIL-kfpacjmbhdno]`. It is an HMAC of the secret:
who has a list of all telephone numbers, but not the key, learns nothing from it. Whoever has the key can try one; so it is thrown away, or kept like a secret.

What is recognised has a form: e-mail and IP addresses, telephone, IBAN, card and social security numbers (`scorers.personal_data`), and credentials by their
prefixes. Names, street addresses and what only its context gives away are *not* recognised: whoever records adds expressions for what is known to come by, and
treats a recording as what it is. Numbers in tensors are features of people as often as not, and stay: a model cannot be asked without them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sluice.api.strict_json import JsonObject, JsonValue
from sluice.scoring.replay.requests import LeftOut, Unusable
from sluice.scoring.scorers.personal_data import PersonalData, personal_data_places

KEY_BYTES: Final = 32
_LETTERS: Final = 12
"""Of a placeholder, each four bits: letters only, which are no part of any number."""
_ROUNDS: Final = 16
_PLACEHOLDER: Final = re.compile(r"(\[[A-Z]{1,24}-[a-p]{12}\])")
_NAME: Final = re.compile(r"[A-Z]{1,24}")

# No repetition is unbounded, and each alternative begins with letters of its own: an attempt at one place reads a bounded number of characters.
_CREDENTIALS: Final = (
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\\\s]{0,8192}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"),
    re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,2048}"),
    re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{20,255})"),
    re.compile(r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,255}"),
    re.compile(r"(?<![A-Za-z0-9])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{20,255}"),
    re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}"),
    re.compile(r"(?<=earer )[A-Za-z0-9._~+/=-]{16,4096}"),
    re.compile(r"(?<=://)[^\s:/@\[\]]{1,128}:[^\s/@\[\]]{1,128}(?=@)"),
)
_CREDENTIAL: Final = "CREDENTIAL"
_NAMES: Final = {
    PersonalData.EMAIL: "EMAIL",
    PersonalData.PHONE: "PHONE",
    PersonalData.IBAN: "IBAN",
    PersonalData.CARD: "CARD",
    PersonalData.SOCIAL_SECURITY: "SSN",
    PersonalData.IP_ADDRESS: "IP",
}


class RedactionRefused(ValueError):
    """A key or an expression that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    start: int
    end: int
    name: str


class Redactor:
    """Replaces by one key. `further` are expressions of one's own, by the name (A–Z) that stands in their placeholders; they run on Python's engine."""

    def __init__(self, key: bytes, *, further: Mapping[str, str] | None = None) -> None:
        """Raises RedactionRefused."""
        if len(key) < KEY_BYTES:
            raise RedactionRefused(f"the key has {len(key)} bytes; take {KEY_BYTES} random ones, or a dictionary gives the secrets away")
        self._key = key
        self._further = {name: _compiled(name, expression) for name, expression in (further or {}).items()}

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart, and says nothing about either."""
        return self._letters("fingerprint", "")

    def text(self, text: str) -> str:
        """Replace every secret in a text. Raises Unusable when it does not come to an end."""
        # What two secrets have between them is often the same, a hundred thousand times at worst: it is looked through once.
        once = cache(self._once)
        for _ in range(_ROUNDS):
            # What stands between two placeholders: an expression never reads a placeholder, and what was replaced once stays.
            parts = _PLACEHOLDER.split(text)
            changed = [part if index % 2 else once(part) for index, part in enumerate(parts)]
            if changed == parts:
                return text
            text = "".join(changed)
        raise Unusable(LeftOut.UNREDACTABLE, f"after {_ROUNDS} rounds there is still something to replace")

    def members(self, members: Mapping[str, JsonValue], *, numbers: bool) -> JsonObject:
        """Replace in every text of an object, names of members among them; with `numbers`, a whole number that is a secret becomes its placeholder."""
        changed = {self.text(name): self._value(member, numbers=numbers) for name, member in members.items()}
        if len(changed) < len(members):
            raise Unusable(LeftOut.UNREDACTABLE, "two members have the same name without what they hid")
        return changed

    def _value(self, value: JsonValue, *, numbers: bool) -> JsonValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item, numbers=numbers) for item in value]
        if isinstance(value, dict):
            return self.members(value, numbers=numbers)
        if numbers and isinstance(value, int) and not isinstance(value, bool):
            return value if (replaced := self.text(str(value))) == str(value) else replaced
        return value

    def _once(self, text: str) -> str:
        pieces, at = [], 0
        for place in _apart(self._places(text)):
            pieces += [text[at : place.start], self._placeholder(place.name, text[place.start : place.end])]
            at = place.end
        return "".join([*pieces, text[at:]])

    def _places(self, text: str) -> Iterator[_Place]:
        for pattern in _CREDENTIALS:
            yield from (_Place(start=match.start(), end=match.end(), name=_CREDENTIAL) for match in pattern.finditer(text))
        for kind, start, end in personal_data_places(text):
            yield _Place(start=start, end=end, name=_NAMES[kind])
        for name, pattern in self._further.items():
            yield from (_Place(start=match.start(), end=match.end(), name=name) for match in pattern.finditer(text) if match[0])

    def _placeholder(self, name: str, secret: str) -> str:
        return f"[{name}-{self._letters(name, _same(name, secret))}]"

    def _letters(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return digest.hex()[:_LETTERS].translate(_HEX_TO_LETTERS)


_HEX_TO_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def names_in(text: str) -> list[str]:
    """What stands in the placeholders of a text: `EMAIL`, for each of them."""
    return [placeholder.strip("[]").partition("-")[0] for placeholder in _PLACEHOLDER.findall(text)]


def _apart(places: Iterator[_Place]) -> list[_Place]:
    """Places that do not overlap: two that do are one, with the name of the first, of the longer when they begin together."""
    found: list[_Place] = []
    for place in sorted(places, key=lambda place: (place.start, -place.end)):
        if found and place.start < found[-1].end:
            last = found.pop()
            place = _Place(start=last.start, end=max(last.end, place.end), name=last.name)  # noqa: PLW2901 - the two together
        found.append(place)
    return found


def _same(name: str, secret: str) -> str:
    """What two spellings of one secret have in common."""
    if name in {"PHONE", "CARD", "SSN"}:
        return re.sub(r"[^0-9]", "", secret)
    return re.sub(r"[ -]", "", secret).upper() if name == "IBAN" else secret.casefold() if name == "EMAIL" else secret


def _compiled(name: str, expression: str) -> re.Pattern[str]:
    if not _NAME.fullmatch(name):
        raise RedactionRefused(f"{name[:32]!r} is no name of a placeholder; write 1 to 24 letters A to Z, such as CUSTOMER")
    try:
        # Written by whoever records, for a file of their own: one that takes for ever stops nobody else.
        return re.compile(expression)
    except re.error as error:
        raise RedactionRefused(f"the expression for {name} cannot be read: {error}") from None
