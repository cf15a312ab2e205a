"""The demo's suite is one that Sluice reads, and the policy's plan fits it."""

from __future__ import annotations

from e2e.demo import suite
from e2e.demo.model import Question
from sluice.api.monitor import Monitor
from sluice.api.requirement import Requirement
from sluice.api.scoring import SuiteSpec
from sluice.scoring.cases import read_cases
from sluice.scoring.protocols.tensors import inputs_of
from sluice.scoring.watched import problem_of

QUESTIONS = [Question(image=tuple(range(16)) * 4, label=label) for label in (3, 8, 5)]


def test_each_held_out_image_is_a_case_and_only_the_rare_digit_is_a_slice() -> None:
    read = read_cases(suite.cases(QUESTIONS).encode()).all
    assert [case.expect["label"] for case in read] == [3, 8, 5]
    assert [dict(case.slices) for case in read] == [{}, {"rare": "8"}, {}]
    assert [inputs_of(case)[0].data for case in read] == [question.image for question in QUESTIONS]


def test_the_suite_pins_the_cases_that_its_config_map_holds() -> None:
    lines = suite.cases(QUESTIONS)
    config_map, object_ = suite.suite(lines, namespace="digits")
    spec = SuiteSpec.model_validate(object_["spec"])
    assert spec.cases.config_map is not None
    assert config_map["data"][spec.cases.config_map.key] == lines
    assert spec.cases.config_map.digest == read_cases(lines.encode()).digest


def test_a_candidate_is_asked_all_of_it() -> None:
    requirement = Requirement.model_validate(suite.requirement(827))
    assert requirement.planned == 827
    assert requirement.suite is not None
    assert requirement.suite.name == suite.suite("", namespace="digits")[1]["metadata"]["name"]


def test_the_monitor_can_work_and_asks_for_a_metric_that_its_suite_measures() -> None:
    monitor = Monitor.model_validate(suite.monitor())
    assert problem_of(monitor) == ""
    _, asked = suite.suite(suite.cases(QUESTIONS), namespace="digits", name=suite.PROBE)
    assert monitor.probe is not None
    assert monitor.probe.suite.name == asked["metadata"]["name"]
    assert monitor.probe.metric in {scorer["name"] for scorer in asked["spec"]["scorers"]}
