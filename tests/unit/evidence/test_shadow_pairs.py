"""A statement about recorded pairs says whom it compares, by digest, or says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sluice.evidence.claims import read_claims
from sluice.evidence.shadow_pairs import PREDICATE_TYPE, ShadowPairs, parse_pairs
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import parse_statement
from tests.unit.decision import case as c
from tests.unit.decision import recorded as r

Object = dict[str, Any]


@pytest.fixture(scope="module")
def said() -> ShadowPairs:
    return r.said(r.recorded_world())


def parsed(statement: Object) -> ShadowPairs:
    return parse_pairs(parse_statement(json.dumps(statement).encode()))


def test_what_is_said_is_what_is_read(said: ShadowPairs) -> None:
    assert parsed(r.statement(said)) == said
    elsewhere = replace(said, kept=r.IMAGE)
    assert parsed(r.statement(elsewhere)) == elsewhere


def test_the_subject_is_the_file_so_that_any_tool_can_hold_it_against_the_statement(said: ShadowPairs) -> None:
    assert r.statement(said)["subject"] == [{"name": "pairs.jsonl", "digest": {"sha256": r.digest_of(r.PAIRS)[7:]}}]


def changed(*path: str, value: Any) -> Callable[[Object], None]:  # noqa: ANN401 - any JSON
    def change(statement: Object) -> None:
        at = statement
        for member in path[:-1]:
            at = at[member]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed("predicateType", value="https://sluice.dev/shadow-pairs/v2"), "not 'https://sluice.dev/shadow-pairs/v1'"),
        (changed("subject", value=[{"digest": {"sha256": "a" * 64}}, {"digest": {"sha256": "b" * 64}}]), "sign one statement for each recording"),
        (changed("predicate", "candidate", "digest", value="churn"), "predicate.candidate.digest is 'churn'"),
        (changed("predicate", "baseline", "digest", value="sha256:" + "A" * 64), "predicate.baseline.digest"),
        (changed("predicate", "suite", "name", value=""), "predicate.suite.name is empty"),
        (changed("predicate", "recordedFrom", value="2026-11-18"), "written like 2026-01-31T12:00:00Z"),
        (changed("predicate", "recordedFrom", value="2026-11-20T10:00:01Z"), "recordedUntil is before predicate.recordedFrom"),
        (changed("predicate", "questions", value=0), "between 1 and 1,000,000"),
        (changed("predicate", "questions", value=1_000_001), "between 1 and 1,000,000"),
        (changed("predicate", "questions", value="120"), "predicate.questions"),
        (changed("predicate", "kept", value={}), "set exactly one of configMap, oci"),
        (changed("predicate", "kept", value={"inline": "…"}), "set exactly one of configMap, oci"),
        (changed("predicate", "kept", value={"oci": {"reference": "registry.example.com/pairs:latest"}}), "reference"),
        (changed("predicate", "kept", value={"configMap": {"name": "churn-pairs", "key": "../secret/key"}}), "key"),
    ],
    ids=["type", "subjects", "candidate", "baseline", "suite", "time", "order", "none", "many", "text", "nowhere", "elsewhere", "tag", "path"],
)
def test_what_says_less_or_something_else_is_refused_with_its_member(said: ShadowPairs, change: Callable[[Object], None], told: str) -> None:
    statement = json.loads(json.dumps(r.statement(said)))
    change(statement)
    with pytest.raises(ProvenanceError) as raised:
        parsed(statement)
    assert raised.value.reason is Reason.PredicateMalformed
    assert told in str(raised.value)


def test_it_speaks_of_the_candidate_also_while_it_is_not_verified(said: ShadowPairs) -> None:
    bundle = c.sign(r.statement(said), identity=r.RECORDER)
    claims = read_claims(bundle)
    assert (claims.predicate_type, claims.subjects) == (PREDICATE_TYPE, frozenset({said.candidate.digest}))
