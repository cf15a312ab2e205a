"""Whatever is changed in a document about models or data, it is read or refused: nothing else happens, and what was not said stays unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.evidence.assurance import parse_assurance
from sluice.evidence.dataset import parse_dataset
from sluice.evidence.documents import read_payload
from sluice.evidence.lineage import BillOfMaterials, DatasetDescription
from sluice.evidence.vsa import PREDICATE_TYPE as VSA
from sluice.evidence.vsa import parse_summary
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.slsa import PREDICATE_TYPE, PREDICATE_TYPE_V02, parse_provenance
from sluice.provenance.statement import STATEMENT_TYPE, Statement
from tests.unit.evidence import made
from tests.unit.evidence.test_assurance import GOOD as ASSURANCES
from tests.unit.evidence.test_documents import SUMMARY
from tests.unit.provenance.test_slsa import BUILDER, OLD

Json = Any
KNOWN: list[tuple[str, Json, Callable[[Statement], object]]] = [
    ("https://cyclonedx.org/bom", made.cyclonedx(), read_payload),
    ("https://spdx.dev/Document/v3", made.spdx(), read_payload),
    ("http://mlcommons.org/croissant/1.0", made.croissant(), read_payload),
    (made.DATASET_TYPE, made.dataset(), parse_dataset),
    (VSA, SUMMARY, parse_summary),
    *((kind, predicate, parse_assurance) for kind, predicate in ASSURANCES.items()),
    (PREDICATE_TYPE_V02, OLD["predicate"], parse_provenance),
    (
        PREDICATE_TYPE,
        {
            "buildDefinition": {"buildType": "t", "externalParameters": {"a": [1]}, "resolvedDependencies": [{"uri": "u"}]},
            "runDetails": {"builder": {"id": BUILDER}},
        },
        parse_provenance,
    ),
]
_MEMBERS = ["name", "type", "digest", "ref", "hashes", "sha256", "@id", "uri"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.sampled_from(["sha256", "a" * 64, "data", "model", "git+x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_MEMBERS), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(value: Json, path: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    """Every place in a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, Json, Callable[[Statement], object]]:
    """A document that is right but for one to three places."""
    kind, document, read = draw(st.sampled_from(KNOWN))
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([place for place in places(copy) if place]))
        node = copy
        for key in parents:
            node = node[key]
        if draw(st.booleans()):
            node[last] = draw(JSON)
        else:
            del node[last]
        if not copy:
            break
    return kind, copy, read


def outcome(read: Callable[[Statement], object], statement: Statement) -> object:
    """What a document came to, or the reason and words for refusing it."""
    try:
        return read(statement)
    except ProvenanceError as error:
        return error.reason, str(error)


@given(changed())
def test_a_changed_document_is_read_or_refused_with_a_reason(case: tuple[str, Json, Callable[[Statement], object]]) -> None:
    kind, document, read = case
    content = outcome(read, Statement(kind=STATEMENT_TYPE, predicate_type=kind, subjects=made.parsed(kind, {}).subjects, predicate=document))
    hash(content)
    if isinstance(content, tuple):
        assert all(content)
    if isinstance(content, BillOfMaterials | DatasetDescription):
        assert all(digest.partition(":")[2] for dataset in content.datasets for digest in dataset.digests)
        assert all(dataset.digests for dataset in content.datasets)
