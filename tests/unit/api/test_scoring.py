"""Suites say what the scoring side can do, and no more; and what identifies one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sluice.api import scorers as api_scorers
from sluice.api import scoring as api
from sluice.api.digests import cases_digest, suite_digest
from sluice.scoring.interpret import metrics_of
from sluice.scoring.protocols import settings as protocols
from sluice.scoring.scorers import personal_data, refusal, settings, text
from tests.unit.api.scorers import SCORERS
from tests.unit.decision.case import digest_of, suite_spec


def values(*enums: Iterable[str]) -> set[str]:
    return {str(value) for enum in enums for value in enum}


def test_a_suite_can_name_every_scorer_protocol_and_choice_that_there_is() -> None:
    assert values(api_scorers.ScorerType) == values(settings.ScorerType, settings.PairScorerType, settings.GateType, settings.SumType, settings.RemoteType)
    assert values(api.ProtocolType) == values(protocols.ProtocolType)
    assert values(api_scorers.Take) == values(text.Take)
    assert values(api_scorers.PersonalDataKind) == values(personal_data.PersonalData)
    assert values(api_scorers.Wanted) == values(refusal.Wanted)


def test_every_parameter_that_a_suite_can_give_is_one_that_its_scorer_reads() -> None:
    scorers = [api_scorers.Scorer.model_validate(scorer) for scorer in SCORERS]
    metrics_of(scorers)
    given = {field for scorer in scorers for field in scorer.model_fields_set}
    assert given == set(api_scorers.Scorer.model_fields)
    assert {scorer.type for scorer in scorers} == set(api_scorers.ScorerType)


def spec(**changes: Any) -> api.SuiteSpec:  # noqa: ANN401 - fields of the spec
    return api.SuiteSpec.model_validate(suite_spec(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": {"type": "OpenInference", "port": 8081, "model": "churn"}},
        {"protocol": {"type": "OpenInference", "port": 8080, "model": "churn", "timeout": "31s"}},
        {"cases": {"inline": "{}"}},
        {"slices": ["region"]},
        {"scorers": [{"name": "accuracy", "type": "Regex"}]},
        {"scorers": [{"name": "accuracy", "type": "ExactMatch", "ignoreCase": True}]},
        {"repeats": 2},
        {"cases": {"recorded": "Pairs"}},
    ],
    ids=str,
)
def test_whatever_changes_what_is_asked_or_what_counts_changes_the_digest(changes: dict[str, Any]) -> None:
    assert suite_digest(spec(**changes)) != suite_digest(spec())


def test_what_is_left_out_and_its_default_are_the_same_suite() -> None:
    assert suite_digest(spec(repeats=1, slices=[])) == suite_digest(spec())


def test_the_same_cases_are_the_same_wherever_they_are_kept() -> None:
    digest = cases_digest(spec().cases)
    kept = spec(cases={"configMap": {"name": "cases", "key": "cases.jsonl", "digest": digest}})
    assert suite_digest(kept) == suite_digest(spec())
    reference = f"registry.example.com/suites/churn@{digest_of('manifest')}"
    assert suite_digest(spec(cases={"oci": {"reference": reference, "digest": digest, "count": 1}})) == suite_digest(spec())


def test_a_suite_of_recorded_pairs_names_no_file_of_its_own() -> None:
    assert suite_digest(spec(cases={"recorded": "Pairs"})) == suite_digest(spec(cases={"recorded": "Pairs"}, repeats=1))
    with pytest.raises(ValueError, match="recorded anew for each candidate"):
        cases_digest(spec(cases={"recorded": "Pairs"}).cases)


def test_cases_in_no_place_have_no_digest() -> None:
    with pytest.raises(ValueError, match="exactly one of inline, configMap, oci"):
        cases_digest(api.Cases())
