"""The table of families: what the tools themselves call their numbers, each in one family, and no other by likeness."""

from __future__ import annotations

from collections import Counter

import pytest

from sluice.api.families import Family
from sluice.evidence.families import KNOWN, MEANING
from sluice.evidence.family_table import TABLE
from sluice.evidence.harness import garak, inspect_log, lm_eval, promptfoo
from sluice.evidence.harness.raw import read_raw
from sluice.evidence.measurement import Measurement
from tests.unit.evidence import test_garak


def number(harness: str, suite: str, metric: str, *, filter_name: str = "", part: str = "") -> Measurement:
    return Measurement(
        suite=suite, metric=metric, filter=filter_name, value=0.5, stderr=None, samples=10, suite_digest=None, harness=harness, harness_version="1", slice=part
    )


def family_of(each: Measurement) -> Family | None:
    return next((member.family for member in KNOWN.of(each)), None)


@pytest.mark.parametrize(
    ("each", "family"),
    [
        (number("lm-eval", "mmlu", "acc", filter_name="none"), Family.QUALITY),
        (number("lm-eval", "mmlu", "acc_norm", filter_name="none"), None),
        (number("lm-eval", "mmlu_anatomy", "acc", filter_name="none"), None),
        (number("lm-eval", "gsm8k", "exact_match", filter_name="strict-match"), Family.QUALITY),
        (number("inspect", "inspect_evals/bbq", "choice"), Family.FAIRNESS),
        (number("inspect", "bbq", "choice"), None),
        (number("inspect", "inspect_evals/agentharm", "combined_scorer/score"), Family.TOOL_SAFETY),
        (number("inspect", "inspect_evals/agentharm", "combined_scorer/refusal"), None),
        (number("garak", "dan.Dan_11_0", "dan.DAN/passed"), Family.JAILBREAK_RESISTANCE),
        (number("garak", "dan", "dan.DAN/passed"), None),
        (number("garak", "danger.Dan", "dan.DAN/passed"), None),
        (number("garak", "goodside.ThreatenJSON", "goodside.PlainJSON/passed"), None),
        (number("garak", "promptinject.HijackHateHumans", "promptinject.AttackRogueString/passed", part="language=fr"), Family.INJECTION_RESISTANCE),
        (number("promptfoo", "any description", "metric/PIILeak"), Family.CONFIDENTIALITY),
        (number("promptfoo", "any description", "metric/PIILeak/Base64"), Family.CONFIDENTIALITY),
        (number("promptfoo", "any description", "metric/PIILeaks"), None),
        (number("promptfoo", "any description", "pass"), None),
        (number("our-eval", "mmlu", "acc"), None),
    ],
)
def test_a_number_belongs_where_the_table_names_it_and_nowhere_else(each: Measurement, family: Family | None) -> None:
    assert family_of(each) is family


def test_the_numbers_of_a_report_belong_to_the_family_of_their_probe() -> None:
    read = read_raw("garak.report.jsonl", test_garak.raw(test_garak.report()))
    assert {(each.suite, family_of(each)) for each in read} == {(test_garak.PROBE, Family.INJECTION_RESISTANCE), ("test.Blank", None)}


def test_each_entry_is_of_a_tool_that_is_read_and_stands_there_once() -> None:
    assert {each.harness for each in TABLE} == {garak.HARNESS, inspect_log.HARNESS, lm_eval.HARNESS, promptfoo.HARNESS}
    places = Counter((each.harness, each.by, each.suite, each.metric) for each in TABLE)
    assert [place for place, count in places.items() if count > 1] == []
    # An entry of one family never hides one of another behind a wildcard.
    assert all(KNOWN.of(number(each.harness, each.suite.replace("*", "x"), each.metric.replace("*", "x")))[0].family is each.family for each in TABLE)


def test_every_family_is_explained() -> None:
    assert set(MEANING) == set(Family)
