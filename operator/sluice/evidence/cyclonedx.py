"""CycloneDX ML-BOM: models, what they were made of, and the datasets among it.

`metadata.component` is what the statement's subjects stand for, when it is a model. Ingredients of a model are the datasets of its model card, the ancestors
of its pedigree, and what `dependencies` says it depends on. Only a component with a hash leads anywhere; one without is named, and is a missing link.

Read as raw JSON: `cyclonedx-python-lib` drops `modelCard` without a word. Specification: https://cyclonedx.org/docs/1.6/json/ (1.7 adds nothing that is read).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.evidence.lineage import BillOfMaterials, Dataset, Ingredient, Making, Role
from sluice.evidence.reading import ELEMENT_LIMIT, MALFORMED, hashed, licence, texts
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member, objects, optional

PREDICATE_TYPES = frozenset({"https://cyclonedx.org/bom", "https://cyclonedx.org/bom/v1.6", "https://cyclonedx.org/bom/v1.7"})
VERSIONS = frozenset({"1.6", "1.7"})
_TEXT_LIMIT = 64
_MODEL = "machine-learning-model"
_ROLES = {_MODEL: Role.BASE_MODEL} | dict.fromkeys(
    ("application", "framework", "library", "container", "platform", "operating-system", "device", "device-driver", "firmware", "cryptographic-asset"),
    Role.ENVIRONMENT,
)
_DATA_ROLES = {"source-code": Role.CODE, "configuration": Role.PARAMETERS}
"""Components of type `data` by the type of what is in them; all else in them counts as a dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Component:
    """A component that has been looked at."""

    raw: JsonObject
    name: str
    digests: frozenset[str]

    @property
    def type(self) -> JsonValue:
        return self.raw.get("type")


def recognises(document: JsonObject) -> bool:
    """Whether `document` says that it is CycloneDX."""
    return document.get("bomFormat") == "CycloneDX"


def read(document: JsonObject, subjects: frozenset[str]) -> BillOfMaterials:
    """Read a bill of materials about `subjects`. Raises ProvenanceError (PredicateMalformed)."""
    version = text(document, "specVersion", where="bom", reason=MALFORMED)
    if not recognises(document) or version not in VERSIONS:
        raise ProvenanceError(
            MALFORMED, f"bom is of format {str(document.get('bomFormat'))[:40]!r} {version[:40]!r}; CycloneDX {', '.join(sorted(VERSIONS))} is read"
        )
    # 1. Every component, the one that the document is about first.
    metadata = optional(document, "metadata", dict, where="bom", reason=MALFORMED) or {}
    main = optional(metadata, "component", dict, where="bom.metadata", reason=MALFORMED)
    components = [_component(main, subjects, where="bom.metadata.component")] if main else []
    components += [_component(raw, frozenset(), where=where) for raw, where in _nested(document, "bom")]
    if len(components) > ELEMENT_LIMIT:
        raise ProvenanceError(MALFORMED, f"bom has {len(components)} components; at most {ELEMENT_LIMIT} are read")
    # 2. A reference leads to one component.
    by_ref: dict[str, _Component] = {}
    for component in components:
        ref = optional(component.raw, "bom-ref", str, where="component", reason=MALFORMED)
        if ref is not None and by_ref.setdefault(ref, component) is not component:
            raise ProvenanceError(MALFORMED, f"two components have the bom-ref {ref[:80]!r}")
    # 3. What each model is made of.
    needs = _dependencies(document)
    models = [component for component in components if component.type == _MODEL and component.digests]
    makings = [Making(products=model.digests, ingredients=tuple(dict.fromkeys(_ingredients(model, by_ref, needs)))) for model in models]
    data = [component for component in components if component.type == "data" and component.digests]
    return BillOfMaterials(makings=tuple(making for making in makings if making.ingredients), datasets=tuple(_dataset(component) for component in data))


def _nested(parent: JsonObject, where: str) -> Iterator[tuple[JsonObject, str]]:
    listed = optional(parent, "components", list, where=where, reason=MALFORMED) or []
    for index, raw in enumerate(objects(listed, where=f"{where}.components", reason=MALFORMED, limit=ELEMENT_LIMIT)):
        at = f"{where}.components[{index}]"
        yield raw, at
        yield from _nested(raw, at)


def _component(raw: JsonObject, subjects: frozenset[str], *, where: str) -> _Component:
    digests = set(subjects)
    listed = optional(raw, "hashes", list, where=where, reason=MALFORMED) or []
    for index, entry in enumerate(objects(listed, where=f"{where}.hashes", reason=MALFORMED, limit=_TEXT_LIMIT)):
        at = f"{where}.hashes[{index}]"
        digest = hashed(text(entry, "alg", where=at, reason=MALFORMED), text(entry, "content", where=at, reason=MALFORMED), where=f"{at}.content")
        digests |= {digest} if digest else set()
    return _Component(raw=raw, name=text(raw, "name", where=where, reason=MALFORMED), digests=frozenset(digests))


def _dependencies(document: JsonObject) -> Mapping[str, tuple[str, ...]]:
    listed = optional(document, "dependencies", list, where="bom", reason=MALFORMED) or []
    found: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(objects(listed, where="bom.dependencies", reason=MALFORMED, limit=ELEMENT_LIMIT)):
        where = f"bom.dependencies[{index}]"
        ref = text(entry, "ref", where=where, reason=MALFORMED)
        found[ref] = found.get(ref, ()) + (texts(entry, "dependsOn", where=where, limit=ELEMENT_LIMIT) if entry.get("dependsOn") else ())
    return found


def _ingredients(model: _Component, by_ref: Mapping[str, _Component], needs: Mapping[str, tuple[str, ...]]) -> Iterator[Ingredient]:
    where = f"component {model.name[:80]!r}"
    # 1. The datasets of the model card, in place or by reference.
    card = optional(model.raw, "modelCard", dict, where=where, reason=MALFORMED) or {}
    parameters = optional(card, "modelParameters", dict, where=f"{where}.modelCard", reason=MALFORMED) or {}
    listed = optional(parameters, "datasets", list, where=f"{where}.modelCard.modelParameters", reason=MALFORMED) or []
    for entry in objects(listed, where=f"{where}.modelCard.modelParameters.datasets", reason=MALFORMED, limit=ELEMENT_LIMIT):
        ref = optional(entry, "ref", str, where=f"{where}.datasets", reason=MALFORMED)
        known = by_ref.get(ref) if ref is not None else None
        name = known.name if known else ref or optional(entry, "name", str, where=f"{where}.datasets", reason=MALFORMED) or ""
        yield Ingredient(role=Role.DATASET, name=name, digests=known.digests if known else frozenset())
    # 2. What it descends from.
    pedigree = optional(model.raw, "pedigree", dict, where=where, reason=MALFORMED) or {}
    ancestors = optional(pedigree, "ancestors", list, where=f"{where}.pedigree", reason=MALFORMED) or []
    for index, raw in enumerate(objects(ancestors, where=f"{where}.pedigree.ancestors", reason=MALFORMED, limit=_TEXT_LIMIT)):
        ancestor = _component(raw, frozenset(), where=f"{where}.pedigree.ancestors[{index}]")
        yield Ingredient(role=_role(ancestor), name=ancestor.name, digests=ancestor.digests)
    # 3. What it depends on.
    for ref in needs.get(str(model.raw.get("bom-ref") or ""), ()):
        component = by_ref.get(ref)
        if component is None:
            yield Ingredient(role=None, name=ref, digests=frozenset())
        elif component is not model:
            yield Ingredient(role=_role(component), name=component.name, digests=component.digests)


def _role(component: _Component) -> Role | None:
    if component.type != "data":
        return _ROLES.get(str(component.type))
    kinds = {str(entry.get("type")) for entry in _data(component)}
    roles = {_DATA_ROLES.get(kind, Role.DATASET) for kind in kinds}
    return roles.pop() if len(roles) == 1 else Role.DATASET


def _data(component: _Component) -> list[JsonObject]:
    where = f"component {component.name[:80]!r}"
    return objects(optional(component.raw, "data", list, where=where, reason=MALFORMED) or [], where=f"{where}.data", reason=MALFORMED, limit=_TEXT_LIMIT)


def _dataset(component: _Component) -> Dataset:
    where = f"component {component.name[:80]!r}"
    classes: set[str] | None = None
    for entry in _data(component):
        said = [text(entry, "classification", where=f"{where}.data", reason=MALFORMED)] if entry.get("classification") else []
        sensitive = texts(entry, "sensitiveData", where=f"{where}.data", limit=_TEXT_LIMIT) if entry.get("sensitiveData") is not None else None
        if said or sensitive is not None:
            classes = (classes or set()) | {*said, *(sensitive or ())}
    return Dataset(
        digests=component.digests,
        name=component.name,
        licences=_licences(component, where),
        data_classes=None if classes is None else frozenset(classes),
        collection_scope=None,
    )


def _licences(component: _Component, where: str) -> frozenset[str] | None:
    listed = optional(component.raw, "licenses", list, where=where, reason=MALFORMED)
    if not listed:
        return None
    found = []
    for index, entry in enumerate(objects(listed, where=f"{where}.licenses", reason=MALFORMED, limit=_TEXT_LIMIT)):
        at = f"{where}.licenses[{index}]"
        if entry.get("expression"):
            found.append(text(entry, "expression", where=at, reason=MALFORMED))
        else:
            named = member(entry, "license", dict, where=at, reason=MALFORMED)
            found.append(text(named, "id" if named.get("id") else "name", where=f"{at}.license", reason=MALFORMED))
    return frozenset(licence(each) for each in found)
