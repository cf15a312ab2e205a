"""Croissant (MLCommons): a dataset with its files, in JSON-LD.

Read as plain JSON with the names that the specification's own context gives (`license` or `sc:license`); a document whose context calls them otherwise says
nothing to us. What the data may be used for has no member of its own, so a Croissant file alone never satisfies a policy about collection scope: sign a
dataset statement beside it.

Specifications: https://docs.mlcommons.org/croissant/docs/croissant-spec.html, https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html
"""

from __future__ import annotations

from sluice.evidence.lineage import Dataset, DatasetDescription
from sluice.evidence.reading import ELEMENT_LIMIT, MALFORMED, hashed, licence, strings
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, objects

PREDICATE_TYPES = frozenset({"http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/1.1"})
_TEXT_LIMIT = 64
_DATASET = frozenset({"Dataset", "sc:Dataset", "https://schema.org/Dataset"})
_FILES = frozenset({"FileObject", "cr:FileObject", "sc:FileObject"})


def recognises(document: JsonObject) -> bool:
    """Whether `document` says that it conforms to a version of Croissant that we read."""
    said = _either(document, "conformsTo", "dct:conformsTo")
    return bool(PREDICATE_TYPES & set(said if isinstance(said, list) else [said]) if isinstance(said, str | list) else False)


def read(document: JsonObject, subjects: frozenset[str]) -> DatasetDescription:
    """Read the dataset, which is what the statement's `subjects` stand for. Raises ProvenanceError (PredicateMalformed)."""
    if document.get("@type") not in _DATASET or not recognises(document):
        raise ProvenanceError(MALFORMED, f"this is no Croissant dataset: @type is to be sc:Dataset, and conformsTo one of {', '.join(sorted(PREDICATE_TYPES))}")
    licences = _either(document, "license", "sc:license")
    sensitive = document.get("rai:personalSensitiveInformation")
    dataset = Dataset(
        digests=subjects | _files(document),
        name=text(document, "name", where="croissant", reason=MALFORMED),
        licences=None if licences is None else frozenset(_licences(licences)),
        data_classes=None if sensitive is None else frozenset(strings(sensitive, where="croissant.rai:personalSensitiveInformation", limit=_TEXT_LIMIT)),
        collection_scope=None,
    )
    return DatasetDescription(datasets=(dataset,))


def _files(document: JsonObject) -> frozenset[str]:
    listed = document.get("distribution") or []
    entries = objects(listed if isinstance(listed, list) else [listed], where="croissant.distribution", reason=MALFORMED, limit=ELEMENT_LIMIT)
    digests = set()
    for index, entry in enumerate(entries):
        where = f"croissant.distribution[{index}]"
        if entry.get("@type") in _FILES and entry.get("sha256") is not None:
            digests.add(hashed("sha256", text(entry, "sha256", where=where, reason=MALFORMED), where=f"{where}.sha256"))
    return frozenset(digest for digest in digests if digest)


def _licences(said: JsonValue) -> list[str]:
    """A licence is an address, a name, or a CreativeWork that has one of them."""
    listed = said if isinstance(said, list) else [said]
    named = [next((each[key] for key in ("@id", "url", "name") if each.get(key)), None) if isinstance(each, dict) else each for each in listed]
    return [licence(each) for each in strings(named, where="croissant.license", limit=_TEXT_LIMIT)]


def _either(document: JsonObject, name: str, prefixed: str) -> JsonValue:
    """A member under the one or the other name that the context gives it; both would be two answers."""
    if name in document and prefixed in document:
        raise ProvenanceError(MALFORMED, f"croissant has {name!r} and {prefixed!r}, which are the same member")
    return document.get(name, document.get(prefixed))
