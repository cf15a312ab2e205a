"""The data behind weights, held against the scope that policy and release approve."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.sigstore.statements import statement, subject
from sluice.api.release import Outcome
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.test_origins import DATA, DATA_SCOPE, STEWARD, Spec, bill, described, policy, release, result_of, signed, world
from tests.unit.evidence import made


def data_of(*, spec: Spec | None = None, rules: Spec | None = None, **said: Any) -> Result:  # noqa: ANN401 - members of the predicate
    return result_of(world(signed("training"), c.sign(described(**said), identity=STEWARD), spec=spec, rules=rules or policy(DATA_SCOPE)))


def test_data_inside_the_scope_satisfies() -> None:
    result = data_of()
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.DataInScope)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"licences": ["CC-BY-4.0", "CC-BY-NC-4.0"]}, "licence CC-BY-NC-4.0 is not accepted"),
        ({"dataClasses": ["CustomerRecords", "HealthRecords"]}, "it holds HealthRecords"),
        ({"collection": {"scope": "support calls"}}, "it was collected for 'support calls'"),
    ],
)
def test_data_outside_of_the_scope_is_refused_in_words(said: Spec, words: str) -> None:
    result = data_of(**said)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.DataOutOfScope)
    assert words in result.message


@pytest.mark.parametrize(
    "widened",
    [
        ({"licences": ["CC-BY-4.0", "CC-BY-NC-4.0"]}, {"licences": ["CC-BY-NC-4.0"]}),
        ({"collectionScopes": ["support calls"]}, {"collection": {"scope": "support calls"}}),
        ({"licences": None}, {"licences": ["anything"]}),
        ({"collectionScopes": None}, {"collection": {"scope": "anything"}}),
        ({"dataClasses": ["CustomerRecords"]}, {}),
    ],
)
def test_each_field_of_the_scope_is_what_is_accepted(widened: tuple[Spec, Spec]) -> None:
    changes, said = widened
    rule = {field: value for field, value in (DATA_SCOPE | changes).items() if value is not None}
    assert data_of(rules=policy(rule), **said).outcome is Outcome.SATISFIED


def test_classes_of_data_are_those_of_the_authority_and_of_the_policy() -> None:
    assert data_of(spec=release(authority={"dataClasses": []})).reason is Reason.DataOutOfScope
    assert data_of(spec=release(authority={"dataClasses": []}), dataClasses=[]).outcome is Outcome.SATISFIED
    assert data_of(rules=policy(DATA_SCOPE | {"dataClasses": ["Public"]})).reason is Reason.DataOutOfScope


def test_what_a_description_does_not_say_is_outside() -> None:
    croissant = c.sign(statement("http://mlcommons.org/croissant/1.0", [subject("data", DATA)], made.croissant()), identity=STEWARD)
    assert "names no scope of collection" in result_of(world(signed("training"), croissant, rules=policy(DATA_SCOPE))).message
    rule = {"name": "data", "type": "DataProvenance", "licences": ["CC-BY-4.0"]}
    assert result_of(world(signed("training"), croissant, rules=policy(rule))).outcome is Outcome.SATISFIED


def test_a_bill_of_materials_describes_data_only_where_its_signer_may() -> None:
    rule = {"name": "data", "type": "DataProvenance", "licences": ["CC-BY-4.0"]}
    known = (signed("training"), c.sign(bill(trained_on=DATA)))
    rules = policy(rule)
    spec = release(authority={"dataClasses": ["CustomerRecords", "internal"]})
    assert result_of(world(*known, spec=spec, rules=rules)).reason is Reason.DatasetUndescribed
    rules["signers"][0]["may"].append("Dataset")
    assert result_of(world(*known, spec=spec, rules=rules)).outcome is Outcome.SATISFIED
