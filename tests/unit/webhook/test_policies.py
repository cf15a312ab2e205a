"""A policy that cannot be used is refused while its author looks; one that can is not, and an old one can still be put away."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.webhook import policies
from sluice.webhook.admission import Path
from tests.unit.decision.case import approved_world, item, policy_spec
from tests.unit.webhook.reviews import Object, ask, body, denied_with

ABOUT = policies.POLICIES


def applied(spec: Object, *, old: Object | None = None, blind: str = "", **changes: Any) -> Object:  # noqa: ANN401 - members of the request
    policy = item("ReleasePolicy", "customer-facing", spec, namespace="")
    before = item("ReleasePolicy", "customer-facing", old, namespace="") if old else None
    return ask(Path.VALIDATE, approved_world(), body(policy, about=ABOUT, old=before, namespace="", **changes), blind=blind)


def with_tier(when: str) -> Object:
    return policy_spec() | {"tiers": [{"name": "high", "when": when}]}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (with_tier("release.modell == ''"), "spec.tiers[high].when: line 1, column 8: undefined field 'modell'"),
        (policy_spec() | {"triggers": [{"name": "t", "when": "changes", "adds": ["quality"]}]}, "spec.triggers[t].when is LIST<STRING>, not bool"),
        (policy_spec() | {"triggers": [{"name": "t", "changes": ["ToolAdded"], "adds": ["x"]}]}, "spec.triggers[t].adds: no requirement is called 'x'"),
        (
            policy_spec() | {"families": [{"family": "Quality", "harness": "lm-eval", "suite": "mmlu", "metric": "acc"}]},
            "spec.families[0]: acc of mmlu by lm-eval belongs to Quality already; leave it out",
        ),
        (policy_spec() | {"tears": []}, "spec.tears: there is no such field"),
        ({}, "spec.selector: this field is needed"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_field(spec: Object, says: str) -> None:
    message = denied_with(applied(spec), "PolicyInvalid")
    assert message.startswith(f"denied by sluice: {says}")
    assert "correct it and apply it again" in message


def test_it_is_refused_when_it_is_changed_and_in_a_dry_run_too() -> None:
    denied_with(applied(with_tier("release."), old=policy_spec()), "PolicyInvalid")
    denied_with(applied(with_tier("release."), dryRun=True), "PolicyInvalid")


def test_a_policy_that_can_be_used_goes_in_without_a_word() -> None:
    assert applied(policy_spec()) == {"uid": applied(policy_spec())["uid"], "allowed": True}


def test_names_that_lead_nowhere_are_warnings() -> None:
    spec = policy_spec()
    spec["signers"][0]["trustRoot"] = "elsewhere"
    response = applied(spec)
    assert response["allowed"] is True
    assert response["warnings"][0].startswith("spec.signers[trainer-ci].trustRoot: there is no TrustRoot 'elsewhere' (TrustRootNotFound)")
    assert "warnings" not in applied(spec, blind="it has not seen everything yet")


def test_a_policy_that_cannot_be_used_any_more_can_still_be_labelled_and_put_away() -> None:
    assert applied(with_tier("release."), old=with_tier("release."))["allowed"] is True


def test_a_check_that_fails_lets_the_policy_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(policies, "read_policy", fails)
    response = applied(policy_spec())
    assert response["allowed"] is True
    assert "(CheckFailed)" in response["warnings"][0]
