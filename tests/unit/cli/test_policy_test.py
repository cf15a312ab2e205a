"""`sluice policy test`: cases say what a verdict is to be, and a slip in one is no test that passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema import Draft202012Validator

from sluice.cli.policy_cases import schema
from sluice.cli.policy_trial import merged
from tests.unit.cli.models import run
from tests.unit.cli.test_verify_release import manifests
from tests.unit.decision import case as c

ROOT = Path(__file__).parents[3]
RELEASE = f"{c.NAMESPACE}/{c.NAME}"
Q = "cases[0].expect.requirements.quality"
SERVES = {"name": "it serves", "release": RELEASE, "expect": {"phase": "Serving", "allows": "Serve", "triggers": []}}
HELD = {
    "name": "without approvals it waits",
    "release": RELEASE,
    "patch": [{"kind": "ReleaseApproval", "name": name, "remove": True} for name in ("by-owner", "by-security")],
    "expect": {"phase": "AwaitingApproval", "requirements": {"approvals": {"outcome": "Missing", "reason": "ApprovalMissing"}}},
}


def document(*cases: dict[str, Any], **more: object) -> dict[str, Any]:
    named = {
        "apiVersion": "cli.sluice.dev/v1alpha1",
        "kind": "PolicyTest",
        "metadata": {"name": "production"},
        "files": ["../deploy"],
        "now": c.NOW.isoformat(),
    }
    return {**named, "cases": list(cases), **more}


class Folder:
    """A folder with everything that lets a release serve, and one of tests beside it."""

    def __init__(self, at: Path) -> None:
        self.tests = at / "tests"
        self.tests.mkdir()
        (at / "deploy").mkdir()
        (at / "deploy" / "all.yaml").write_text(yaml.dump_all(manifests(), Dumper=yaml.CSafeDumper))

    def run(self, *cases: dict[str, Any], output: str = "json", **more: object) -> Any:  # noqa: ANN401 - click's result
        (self.tests / "cases.yaml").write_text(yaml.safe_dump(document(*cases, **more)))
        return run("policy", "test", self.tests, "-o", output)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder."""
    return Folder(tmp_path)


def test_what_a_case_changes_is_put_back_after_it(folder: Folder) -> None:
    found = folder.run(SERVES, HELD, SERVES)
    assert found.exit_code == 0, found.output
    assert [(each["case"], each["passes"]) for each in json.loads(found.stdout)] == [("it serves", True), (HELD["name"], True), ("it serves", True)]


def test_what_the_cluster_grants_is_known_where_the_files_are_said_to_be_all_there_is(folder: Folder) -> None:
    requirement = {"name": "least", "type": "Authority", "grants": ["Permissions"]}
    change = {"kind": "ReleasePolicy", "name": "customer-facing", "merge": {"spec": {"requirements": [requirement]}}}

    def case(outcome: str, reason: str) -> dict[str, Any]:
        expect = {"requirements": {"least": {"outcome": outcome, "reason": reason}}}
        return {"name": "it is held", "release": RELEASE, "patch": [change], "expect": expect}

    assert folder.run(case("Missing", "AuthorityUnknown")).exit_code == 0
    assert folder.run(case("Satisfied", "AuthorityWithinBounds"), wholeCluster=True).exit_code == 0


def test_a_verdict_that_is_not_as_expected_is_told_with_what_came(folder: Folder) -> None:
    expect = {"phase": "Rejected", "triggers": ["security"], "requirements": {
        "approvals": {"outcome": "Satisfied"}, "quality": {"outcome": "Satisfied", "reason": "MeasureMissing"}, "built-here": {"outcome": "NotAsked"},
        "customer-facing/weights-signed": {"outcome": "Failed"}, "drill": {"outcome": "Missing"},
    }}  # fmt: skip
    found = folder.run({**HELD, "expect": expect})
    assert found.exit_code == 1
    (case,) = json.loads(found.stdout)
    told = {each["what"]: (each["expected"], each["got"]) for each in case["differences"]}
    assert told["phase"] == ("Rejected", "AwaitingApproval: approvals (ApprovalMissing)")
    assert told["approvals"][1].startswith("Missing (ApprovalMissing): 0 of 2; owner, security are missing")
    assert told["quality"][0] == "Satisfied (MeasureMissing)"
    assert told["built-here"][1].startswith("Satisfied (ProvenanceVerified)")
    assert told["customer-facing/weights-signed"][1].startswith("Satisfied (SignatureVerified)")
    assert told["drill"] == ("Missing", "NotAsked; asked are weights-signed, built-here, quality, approvals")
    assert told["triggers"] == ("security", "none")


def test_the_time_of_a_case_decides_about_ages(folder: Folder) -> None:
    late = {**SERVES, "now": "2036-01-01T00:00:00Z", "expect": {"requirements": {"approvals": {"outcome": "Expired"}}}}
    found = folder.run(late, SERVES)
    assert found.exit_code == 0, found.output


def test_pipelines_and_people_see_each_case(folder: Folder) -> None:
    wrong = {**SERVES, "name": "never", "expect": {"phase": "Revoked"}}
    found = folder.run(SERVES, wrong, output="junit")
    root = ET.fromstring(found.stdout)  # noqa: S314 - our own
    assert (found.exit_code, [each.get("name") for each in root.iter("testcase")]) == (1, ["it serves", "never"])
    assert [each.get("message") for each in root.iter("failure")] == ["phase: expected Revoked, got Serving"]
    shown = folder.run(SERVES, wrong, output="table").stdout
    assert "✓ it serves" in shown
    assert "✗ never" in shown
    assert "1 of 2 cases as expected" in shown


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"case": []}, "cases.yaml:1: case: there is no such field; look for a slip in its name"),
        ({"now": "tomorrow"}, "cases.yaml:1: now: this is no time; write it like"),
        ({"files": ["../nowhere"]}, "nowhere: No such file or directory"),
        ({"apiVersion": "sluice.dev/v1alpha1"}, "cases.yaml:1: apiVersion"),
        ({"cases": [{**SERVES, "expect": {}}]}, "cases[0].expect: expect something"),
        ({"cases": [{**SERVES, "expect": {"phases": "Serving"}}]}, "cases[0].expect.phases: there is no such field"),
        ({"cases": [SERVES, {**SERVES, "expect": {"phase": "Served"}}]}, "cases[1].expect.phase: Input should be"),
        ({"cases": [{**SERVES, "expect": {"requirements": {"quality": {"reason": "Waived"}}}}]}, f"{Q}.outcome: this field is needed"),
        ({"cases": [{**SERVES, "expect": {"requirements": {"quality": {"outcome": "Failed", "reason": "Mising"}}}}]}, f"{Q}.reason: there is no such reason"),
        ({"cases": [{**SERVES, "expect": {"requirements": {"qualty": {"outcome": "NotAsked"}}}}]}, "no policy has a requirement 'qualty'"),
        ({"cases": [{**SERVES, "release": "payments/none"}]}, "there is no ModelRelease payments/none"),
        ({"cases": [{**SERVES, "patch": [{"kind": "TrustRoot", "name": "other", "remove": True}]}]}, "of that kind there is ci"),
        ({"cases": [{**SERVES, "patch": [{"kind": "TrustRoot", "name": "ci"}]}]}, "cases[0].patch[0]: set exactly one of merge, remove"),
        ({"cases": [{**SERVES, "patch": [{"kind": "TrustRoot", "name": "ci", "merge": {"metadata": {"name": "b"}}}]}]}, "would become another object"),
        ({"cases": [{**SERVES, "patch": [{"kind": "ModelRelease", "name": c.NAME, "merge": {"spec": {"model": 3}}}]}]}, "spec.model"),
        ({"cases": [{**SERVES, "patch": [{"kind": "TrustRoot", "name": "ci", "merge": {"spec": {"sigstore": None}}}]}]}, "no cluster would take"),
    ],
)  # fmt: skip
def test_a_file_that_tests_nothing_is_refused_with_the_place(folder: Folder, changes: dict[str, Any], said: str) -> None:
    found = folder.run(*changes.get("cases", [SERVES]), **{key: value for key, value in changes.items() if key != "cases"})
    assert (found.exit_code, said in found.stderr) == (3, True), found.output


def test_a_folder_without_cases_is_no_answer(folder: Folder) -> None:
    found = run("policy", "test", folder.tests.parent / "deploy")
    assert (found.exit_code, "there is no PolicyTest in" in found.stderr) == (3, True)


def test_a_test_beside_manifests_is_passed_over_by_check(folder: Folder) -> None:
    folder.run(SERVES)
    assert run("check", "-f", folder.tests.parent).exit_code == 0


@pytest.mark.parametrize(
    ("target", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_examples_of_its_rfc_do(target: dict[str, Any], patch: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(target, patch) == after


def test_the_schema_is_that_of_the_models_and_takes_the_example() -> None:
    written = json.loads((ROOT / "docs" / "policy-test.schema.json").read_text())
    assert written == schema(), "run `make reference`"
    example = yaml.safe_load((ROOT / "examples" / "policy-tests" / "customer-facing.yaml").read_text())
    Draft202012Validator(written).validate(example)
    assert not Draft202012Validator(written).is_valid(example | {"case": []})


def test_the_cases_of_the_example_come_out_as_they_say() -> None:
    found = run("policy", "test", ROOT / "examples" / "policy-tests")
    assert found.exit_code == 0, found.output
    assert "2 of 2 cases as expected" in found.stdout
