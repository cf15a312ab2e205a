"""Every change that somebody could make to a bundle: each field alone, the important ones in pairs, parts of two good bundles mixed.

A field is changed in all the ways that fit what it holds: a bit of bytes, a digit of a number, another word, another element, nothing at all. What is encoded
inside a field (the statement, the log's record, the checkpoint) is taken apart and changed as well, and put back in.
"""

from __future__ import annotations

import base64
import binascii
import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.signing import Json

Path = tuple[str | int, ...]

_ENCODED = {"payload", "canonicalizedBody"}
"""Fields that hold JSON in base64."""
_NUMBERS = {"logIndex", "treeSize", "integratedTime"}
_WORDS = "something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a bundle."""

    where: str
    """The fields, without indices; `>` enters what is encoded in one."""
    how: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.where}: {self.how}"


def single_changes(raw: bytes) -> Iterator[Change]:
    """Each field, changed alone."""
    document = json.loads(raw)
    for path, value in _leaves_and_branches(document):
        for how, changed in _variants(path, value):
            yield Change(where=_name(path), how=how, raw=_put(document, path, changed))
        if path:
            yield Change(where=_name(path), how="left out", raw=_cut(document, path))
            yield Change(where=_name(path), how="null", raw=_put(document, path, None))


def pairs(raw: bytes, names: frozenset[str]) -> Iterator[Change]:
    """The fields of `names`, two at a time, each changed in the first way that fits it."""
    document = json.loads(raw)
    chosen = {}
    for path, value in _leaves_and_branches(document):
        if _name(path) in names and _name(path) not in chosen:
            how, changed = next(_variants(path, value))
            chosen[_name(path)] = (path, how, changed)
    for (one, (path, how, changed)), (other, (path2, how2, changed2)) in itertools.combinations(chosen.items(), 2):
        if path2[: len(path)] == path:
            continue  # the second is inside the first
        twice = _put(json.loads(_put(document, path, changed)), path2, changed2)
        yield Change(where=f"{one} and {other}", how=f"{how} and {how2}", raw=twice)


PARTS: dict[str, tuple[Path, ...]] = {
    "the signer": (("verificationMaterial", "certificate"), ("verificationMaterial", "x509CertificateChain"), ("verificationMaterial", "publicKey")),
    "the log entries": (("verificationMaterial", "tlogEntries"),),
    "the timestamps": (("verificationMaterial", "timestampVerificationData"),),
    "the payload": (("dsseEnvelope", "payload"), ("messageSignature", "messageDigest")),
    "the signature": (("dsseEnvelope", "signatures"), ("messageSignature", "signature")),
}


def mixtures(raw: bytes, other: bytes) -> Iterator[Change]:
    """Some parts of `raw` and the rest of `other`: each mixture that is neither of the two."""
    one, two = json.loads(raw), json.loads(other)
    for count in range(1, len(PARTS)):
        for names in itertools.combinations(PARTS, count):
            mixed = copy.deepcopy(one)
            for path in itertools.chain.from_iterable(PARTS[name] for name in names):
                found = _get(two, path)
                if found is not None:
                    mixed = json.loads(_put(mixed, path, found))
            if mixed not in (one, two):
                yield Change(where=" and ".join(names), how="of another bundle", raw=json.dumps(mixed).encode())


def _leaves_and_branches(value: Json, here: Path = ()) -> Iterator[tuple[Path, Json]]:
    yield here, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves_and_branches(child, (*here, key))
            if key in _ENCODED:
                inside = json.loads(base64.b64decode(child))
                yield from _leaves_and_branches(inside, (*here, key, ">"))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves_and_branches(child, (*here, index))


def _variants(path: Path, value: Json) -> Iterator[tuple[str, Json]]:
    key = path[-1] if path else ""
    match value:
        case dict() if path:
            yield "a member more", value | {"surplus": "x"}
            yield "empty", {}
        case dict():
            yield "a member more", value | {"surplus": "x"}
        case list():
            yield "empty", []
            if value:
                yield "the first one twice", [value[0], *value]
        case str() if key in _NUMBERS:
            yield "one more", str(int(value) + 1)
            yield "one less", str(int(value) - 1)
            yield "zero before it", "0" + value
        case str() if key == "envelope" and "\n" in value:
            yield from _notes(value)
        case str():
            yield from _texts(value)
        case bool():
            yield "the other", not value
        case _:
            yield "a word", _WORDS


def _notes(note: str) -> Iterator[tuple[str, str]]:
    lines = note.split("\n")
    for index, line in enumerate(lines[:-1]):
        changed = f"{line[:-2]}{'A' if line[-2:-1] != 'A' else 'B'}{line[-1:]}" if line else "surplus"
        yield f"line {index} changed", "\n".join([*lines[:index], changed, *lines[index + 1 :]])
        yield f"line {index} left out", "\n".join([*lines[:index], *lines[index + 1 :]])


def _texts(text: str) -> Iterator[tuple[str, str]]:
    content = _bytes(text)
    if content:
        for place, at in (("first", 0), ("middle", len(content) // 2), ("last", len(content) - 1)):
            flipped = bytearray(content)
            flipped[at] ^= 1
            yield f"a bit of the {place} byte", base64.b64encode(bytes(flipped)).decode()
        yield "a byte short", base64.b64encode(content[:-1]).decode()
        yield "a byte more", base64.b64encode(content + b"\0").decode()
        yield "a line break", text + "\n"
    yield "another word", _WORDS
    yield "empty", ""


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if len(text) > 16 else b""
    except binascii.Error:
        return b""


def _name(path: Path) -> str:
    return ".".join("[]" if isinstance(step, int) else step for step in path).replace(".[]", "[]")


def _get(document: Json, path: Path) -> Json:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _put(document: Json, path: Path, value: Json) -> bytes:
    return json.dumps(_changed(document, path, lambda parent, key: parent.__setitem__(key, value)) if path else value).encode()


def _cut(document: Json, path: Path) -> bytes:
    return json.dumps(_changed(document, path, lambda parent, key: parent.__delitem__(key))).encode()


def _changed(document: Json, path: Path, change: Json) -> Json:
    """A copy of `document` in which `change` was done at `path`; only what lies on the way is copied."""
    if path[0] == ">":
        inside = json.loads(base64.b64decode(document))
        inside = _changed(inside, path[1:], change) if path[1:] else _at_root(inside, change)
        return base64.b64encode(json.dumps(inside, separators=(",", ":"), sort_keys=True).encode()).decode()
    duplicate = copy.copy(document)
    if len(path) == 1:
        change(duplicate, path[0])
    else:
        duplicate[path[0]] = _changed(document[path[0]], path[1:], change)
    return duplicate


def _at_root(inside: Json, change: Json) -> Json:
    holder = {"inside": inside}
    change(holder, "inside")
    return holder.get("inside")
