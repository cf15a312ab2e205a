"""`sluice policy simulate` tells what a change of policy does to the releases that are there, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.cli import desk
from tests.unit.cli.models import run
from tests.unit.cli.test_verify_release import manifests
from tests.unit.decision import case as c

LATER = "churn-2-2-0"


class Change:
    """What is there, with a second release that waits, and a change of it."""

    def __init__(self, at: Path) -> None:
        self.there, self.file = at / "there.yaml", at / "policy.yaml"
        later = c.item("ModelRelease", LATER, c.release_spec() | {"version": "2.2.0"})
        self.there.write_text(yaml.dump_all([*manifests(), later], Dumper=yaml.CSafeDumper))
        self.policy: dict[str, Any] = next(item for item in manifests() if item["kind"] == "ReleasePolicy")

    @property
    def requirements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.policy["spec"]["requirements"]
        return found

    def run(self, *options: object) -> Any:  # noqa: ANN401 - click's result
        self.file.write_text(yaml.safe_dump(self.policy))
        return run("policy", "simulate", "-f", self.file, "--files", self.there, *options)


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """The change."""
    return Change(tmp_path)


def test_a_policy_that_is_applied_again_flips_nothing(change: Change) -> None:
    found = change.run()
    assert (found.exit_code, found.stdout) == (0, "0 of 2 lose their right to serve, 0 gain it; 2 as before\n")


def test_a_stricter_policy_names_who_loses_and_what_is_missing_then(change: Change) -> None:
    change.requirements[2]["measures"][0]["atLeast"] = "0.99"
    found = change.run("-o", "json")
    answer = json.loads(found.stdout)
    assert (found.exit_code, answer["counts"]) == (1, {"releases": 2, "unchanged": 0, "loseServing": 1, "gainServing": 0, "unreadable": 0})
    waits, serves = sorted(answer["flips"], key=lambda flip: flip["losesServing"])
    assert (serves["release"], serves["before"], serves["after"]) == (
        c.NAME, {"phase": "Serving", "allows": "Serve"}, {"phase": "Rejected", "allows": "Nothing"},
    )  # fmt: skip
    assert (waits["release"], waits["before"]["phase"], waits["after"]["phase"]) == (LATER, "AwaitingApproval", "Rejected")
    assert next((each["name"], each["reason"]) for each in serves["newlyMissing"]) == ("quality", "ThresholdMissed")
    shown = change.run()
    assert shown.exit_code == 1
    assert shown.stdout.index(c.NAME) < shown.stdout.index(LATER)
    assert "1 of 2 lose their right to serve, 0 gain it; 0 as before" in shown.stdout
    assert yaml.safe_load(change.run("-o", "yaml").stdout) == answer


def test_what_only_a_waiting_release_will_lack_more_takes_nothing_away(change: Change) -> None:
    change.policy = c.item("ReleasePolicy", "lenient", change.policy["spec"] | {"requirements": change.requirements[:3]}, namespace="")
    assert change.run().exit_code == 0
    change.policy["metadata"]["name"] = "customer-facing"
    found = change.run("-o", "json")
    answer = json.loads(found.stdout)
    assert (found.exit_code, answer["counts"]["gainServing"]) == (0, 1)
    assert [(flip["release"], flip["newlyMissing"]) for flip in answer["flips"]] == [(LATER, [])]


def test_a_trust_root_that_trusts_somebody_else_is_a_change_too(change: Change) -> None:
    root = next(item for item in manifests() if item["kind"] == "TrustRoot")
    change.policy = root | {"spec": root["spec"] | {"revoked": [{"type": "Artifact", "digest": c.weights_digest(), "reason": "poisoned"}]}}
    found = change.run("-o", "json")
    assert (found.exit_code, {flip["after"]["phase"] for flip in json.loads(found.stdout)["flips"]}) == (1, {"Revoked"})


def test_a_rejection_that_counts_only_with_the_change_is_what_is_new(change: Change) -> None:
    approval = next(item for item in manifests() if item["kind"] == "ReleaseApproval")
    rejection = approval["spec"] | {"decision": "Reject", "role": "auditor", "approver": {"username": "ada@example.com"}}
    with change.there.open("a") as file:
        file.write("---\n" + yaml.safe_dump(c.item("ReleaseApproval", "by-ada", rejection)))
    assert change.run().exit_code == 0
    change.policy["spec"]["roles"].append({"name": "auditor", "subjects": [{"kind": "User", "name": "ada@example.com"}]})
    found = change.run("-o", "json")
    (flip,) = json.loads(found.stdout)["flips"]
    assert (found.exit_code, flip["after"]["phase"]) == (1, "Rejected")
    assert [(each["reason"], each["message"]) for each in flip["newlyMissing"]] == [("Rejected", "ada@example.com rejected it as auditor (by-ada)")]


def test_a_policy_that_the_cluster_would_refuse_is_no_answer(change: Change) -> None:
    change.policy["spec"]["tiers"][0]["when"] = "release.nothing.of(the kind"
    found = change.run()
    assert (found.exit_code, f"{change.file}:1: ReleasePolicy customer-facing cannot be used: " in found.stderr) == (3, True)


def test_a_change_that_breaks_a_release_is_no_answer(change: Change) -> None:
    change.policy = c.item("ModelRelease", c.NAME, c.release_spec() | {"model": 3})
    found = change.run()
    assert (found.exit_code, f"ModelRelease {c.NAMESPACE}/{c.NAME} one that cannot be read" in found.stderr) == (3, True)


def test_where_no_release_is_there_is_nothing_to_tell(change: Change) -> None:
    change.there.write_text(yaml.safe_dump(c.namespace()))
    found = change.run()
    assert (found.exit_code, "there is no release that can be read" in found.stderr) == (3, True)


def test_without_files_the_cluster_is_asked_and_what_it_serves_is_kept(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(yaml.safe_load_all(change.there.read_text()))

    async def cluster(_world: object, _cluster: object) -> tuple[list[dict[str, Any]], list[str]]:
        return items, []

    monkeypatch.setattr(desk, "_from_cluster", cluster)
    change.requirements.pop()
    change.file.write_text(yaml.safe_dump(change.policy))
    found = run("policy", "simulate", "-f", change.file, "-o", "json")
    assert (found.exit_code, json.loads(found.stdout)["counts"]["gainServing"]) == (0, 1)
