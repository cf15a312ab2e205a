"""SPDX 3 with its AI and Dataset profiles: a graph of elements and relationships, in JSON-LD.

The root of the `software_Sbom` (or the only AI package of the document) is what the statement's subjects stand for. Ingredients of a model are what it was
`trainedOn`, what it `dependsOn` or is a `descendantOf`, and the tools it was made with; what it was `testedOn` did not go into it.

Read as raw JSON with the terms of the context of the specification; contexts are not fetched. Licences: what was concluded, else what was declared.
Specification: https://spdx.github.io/spdx-spec/v3.0.1/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from sluice.evidence.lineage import BillOfMaterials, Dataset, Ingredient, Making, Role
from sluice.evidence.reading import ELEMENT_LIMIT, MALFORMED, hashed, licence, strings
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member, objects, optional

PREDICATE_TYPES = frozenset({"https://spdx.dev/Document/v3", "https://spdx.dev/Document/v3.0", "https://spdx.dev/Document/v3.0.1"})
_CONTEXTS = ("https://spdx.org/rdf/3.0.0/", "https://spdx.org/rdf/3.0.1/")
_HASH_LIMIT = 64
_MODEL, _DATASET = "ai_AIPackage", "dataset_DatasetPackage"
_SENSITIVE: Mapping[JsonValue, frozenset[str]] = {"yes": frozenset({"SensitivePersonalInformation"}), "no": frozenset()}
_PURPOSES = {"model": Role.BASE_MODEL, "data": Role.DATASET, "source": Role.CODE, "configuration": Role.PARAMETERS} | dict.fromkeys(
    ("application", "bom", "container", "device", "deviceDriver", "diskImage", "executable", "firmware", "framework", "install", "library", "module",
     "operatingSystem", "platform"),
    Role.ENVIRONMENT,
)  # fmt: skip


class _Relation(NamedTuple):
    kind: str
    origin: str
    targets: tuple[str, ...]


class _Graph:
    """Elements by their identifier, and what relates them."""

    def __init__(self, document: JsonObject) -> None:
        """Index a document. Raises ProvenanceError (PredicateMalformed)."""
        listed = member(document, "@graph", list, where="spdx", reason=MALFORMED)
        self.elements: dict[str, JsonObject] = {}
        self.relations: dict[tuple[str, str], list[_Relation]] = defaultdict(list)
        for index, element in enumerate(objects(listed, where="spdx.@graph", reason=MALFORMED, limit=ELEMENT_LIMIT)):
            where = f"spdx.@graph[{index}]"
            identifier = element.get("spdxId", element.get("@id"))
            if not isinstance(identifier, str):
                continue
            if identifier in self.elements:
                raise ProvenanceError(MALFORMED, f"{where}: two elements have the identifier {identifier[:80]!r}")
            self.elements[identifier] = element
            if element.get("type") in {"Relationship", "LifecycleScopedRelationship"}:
                kind = text(element, "relationshipType", where=where, reason=MALFORMED)
                origin = text(element, "from", where=where, reason=MALFORMED)
                self.relations[kind, origin].append(_Relation(kind, origin, strings(element.get("to"), where=f"{where}.to", limit=ELEMENT_LIMIT)))

    def targets(self, kind: str, origin: str) -> list[str]:
        """What `origin` is related to in this way."""
        return [target for relation in self.relations.get((kind, origin), ()) for target in relation.targets]

    def of_type(self, kind: str) -> list[str]:
        """Identifiers of the elements of a type."""
        return [identifier for identifier, element in self.elements.items() if element.get("type") == kind]


def recognises(document: JsonObject) -> bool:
    """Whether `document` says that it is SPDX 3."""
    context = document.get("@context")
    return isinstance(context, str) and context.startswith(_CONTEXTS) and "@graph" in document


def read(document: JsonObject, subjects: frozenset[str]) -> BillOfMaterials:
    """Read a document about `subjects`. Raises ProvenanceError (PredicateMalformed)."""
    if not recognises(document):
        raise ProvenanceError(MALFORMED, f"spdx.@context is {str(document.get('@context'))[:80]!r}; the context of SPDX 3.0 and a @graph are read")
    graph = _Graph(document)
    main = _main(graph)
    ancestors = _ancestors(graph)
    makings = []
    for model in graph.of_type(_MODEL):
        digests = _digests(graph, model) | (subjects if model == main else frozenset())
        related: list[tuple[str, Role | None]] = [(target, Role.DATASET) for target in graph.targets("trainedOn", model)]
        related += [(target, None) for kind in ("dependsOn", "descendantOf") for target in graph.targets(kind, model)]
        related += [(target, None) for target in ancestors.get(model, ())]
        related += [(target, Role.ENVIRONMENT) for target in graph.targets("usesTool", model)]
        ingredients = tuple(dict.fromkeys(_ingredient(graph, target, role) for target, role in related if target != model))
        if digests and ingredients:
            makings.append(Making(products=digests, ingredients=ingredients))
    datasets = [_dataset(graph, dataset) for dataset in graph.of_type(_DATASET)]
    return BillOfMaterials(makings=tuple(makings), datasets=tuple(dataset for dataset in datasets if dataset.digests))


def _main(graph: _Graph) -> str | None:
    """The model that the document is about; None when it cannot be told."""
    models = graph.of_type(_MODEL)
    boms = [graph.elements[identifier] for kind in ("software_Sbom", "Bom") for identifier in graph.of_type(kind)]
    roots = {root for bom in boms if bom.get("rootElement") is not None for root in strings(bom["rootElement"], where="rootElement", limit=ELEMENT_LIMIT)}
    candidates = [model for model in models if model in roots] if roots else models
    return candidates[0] if len(candidates) == 1 else None


def _ancestors(graph: _Graph) -> Mapping[str, list[str]]:
    """`ancestorOf`, read from its other end."""
    found: dict[str, list[str]] = defaultdict(list)
    for (kind, origin), relations in graph.relations.items():
        for target in (target for relation in relations for target in relation.targets) if kind == "ancestorOf" else ():
            found[target].append(origin)
    return found


def _ingredient(graph: _Graph, identifier: str, role: Role | None) -> Ingredient:
    element = graph.elements.get(identifier, {})
    name = text(element, "name", where="element", reason=MALFORMED) if element.get("name") else identifier[:200]
    return Ingredient(role=role or _role(element), name=name, digests=_digests(graph, identifier))


def _role(element: JsonObject) -> Role | None:
    if element.get("type") == _MODEL:
        return Role.BASE_MODEL
    if element.get("type") == _DATASET:
        return Role.DATASET
    known = _PURPOSES.get(str(element.get("software_primaryPurpose")))
    return Role.ENVIRONMENT if known is None and element.get("software_packageUrl") else known


def _digests(graph: _Graph, identifier: str) -> frozenset[str]:
    element = graph.elements.get(identifier, {})
    where = f"element {identifier[:80]!r}"
    listed = optional(element, "verifiedUsing", list, where=where, reason=MALFORMED) or []
    digests = set()
    for index, entry in enumerate(objects(listed, where=f"{where}.verifiedUsing", reason=MALFORMED, limit=_HASH_LIMIT)):
        if entry.get("type") == "Hash":
            at = f"{where}.verifiedUsing[{index}]"
            value = text(entry, "hashValue", where=at, reason=MALFORMED)
            digests.add(hashed(text(entry, "algorithm", where=at, reason=MALFORMED), value, where=f"{at}.hashValue"))
    return frozenset(digest for digest in digests if digest)


def _dataset(graph: _Graph, identifier: str) -> Dataset:
    element = graph.elements[identifier]
    named = graph.targets("hasConcludedLicense", identifier) or graph.targets("hasDeclaredLicense", identifier)
    return Dataset(
        digests=_digests(graph, identifier),
        name=text(element, "name", where=f"element {identifier[:80]!r}", reason=MALFORMED) if element.get("name") else identifier[:200],
        licences=frozenset(_licence(graph, each) for each in named) or None,
        data_classes=_SENSITIVE.get(str(element.get("dataset_hasSensitivePersonalInformation"))),
        collection_scope=None,
    )


def _licence(graph: _Graph, identifier: str) -> str:
    element = graph.elements.get(identifier, {})
    key = "simplelicensing_licenseExpression"
    return licence(text(element, key, where=f"element {identifier[:80]!r}", reason=MALFORMED) if element.get(key) else identifier)
