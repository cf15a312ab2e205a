"""Filters and logging that run beside the model: listed by the release, and running in every Pod of it."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.controls import Control
from sluice.api.crd import crd
from sluice.api.kinds import KINDS
from sluice.api.release import Outcome
from sluice.decision.gate import Action, Decision, Namespace, decide_pod
from sluice.decision.model import Allowance, Verdict
from sluice.decision.pod import view_pod, view_template
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.test_gate import MODEL, SERVER

Object = dict[str, Any]
FILTER, OTHER_FILTER, LOGGER = (c.digest_of(name) for name in ("filter", "another filter", "logger"))
REQUIREMENT: Object = {
    "name": "controls", "type": "RuntimeControls",
    "controls": [{"type": "InputFilter", "images": [OTHER_FILTER, FILTER]}, {"type": "Logging", "images": [LOGGER], "retention": "90d"}],
}  # fmt: skip
KEPT = {"sluice.dev/log-retention": "90d"}
RUNNING: list[Object] = [
    {"name": "server", "image": SERVER},
    {"name": "filter", "image": f"registry.example.com/filter@{FILTER}"},
    {"name": "logger", "image": f"registry.example.com/logger@{LOGGER}"},
]


def world(*listed: str, **fields: Any) -> c.World:  # noqa: ANN401 - fields of the requirement
    """A world in which the release lacks nothing but what the requirement says, and lists these images as well."""
    known = c.verified_world()
    rules = c.policy_spec()
    rules["requirements"] = [rules["requirements"][0], rules["requirements"][3], REQUIREMENT | fields]
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", rules, namespace=""))
    images = [{"name": f"extra-{n}", "type": "Image", "uri": f"registry.example.com/x@{digest}", "digest": digest} for n, digest in enumerate(listed)]
    spec = c.release_spec()
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, spec | {"artifacts": [*spec["artifacts"], *images]}))
    c.approve(known, c.KEY)
    return known


def verdict_of(known: c.World) -> Verdict:
    verdict = known.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def pod(containers: list[Object], annotations: Object | None = None, *, sidecars: list[Object] | None = None) -> Object:
    inits = [{"name": "model", "image": MODEL}, *(sidecars or [])]
    metadata = {"labels": {"sluice.dev/release": c.NAME}, "annotations": KEPT if annotations is None else annotations}
    return {"metadata": metadata, "spec": {"serviceAccountName": "churn", "initContainers": inits, "containers": containers}}


def decided(item: Object, known: c.World | None = None, *, final: bool = True) -> Decision:
    namespace = Namespace(name=c.NAMESPACE, labels=c.namespace()["metadata"]["labels"])
    subject = (known or world(FILTER, LOGGER)).subject(c.NAMESPACE, c.NAME, now=c.NOW)
    return decide_pod(view_pod(item) if final else view_template(item), namespace, subject, serves={})


def test_a_release_that_lists_what_policy_accepts_may_serve_and_says_what_has_to_run() -> None:
    verdict = verdict_of(world(FILTER, LOGGER))
    (result,) = [result for result in verdict.results if result.requirement == "controls"]
    assert (result.outcome, result.reason, verdict.allows) == (Outcome.SATISFIED, Reason.ControlsListed, Allowance.SERVE)
    assert result.message == "every Pod of the release has to run InputFilter (extra-0), Logging (extra-1)"


@pytest.mark.parametrize(("listed", "lacking"), [((LOGGER,), "InputFilter"), ((FILTER, OTHER_FILTER), "Logging"), ((), "InputFilter")])
def test_a_release_whose_pods_could_never_run_a_control_fails(listed: tuple[str, ...], lacking: str) -> None:
    (result,) = [result for result in verdict_of(world(*listed)).results if result.requirement == "controls"]
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.ControlMissing)
    assert result.message.startswith(f"{lacking}: the release lists no image that policy customer-facing accepts")


def test_a_pod_that_runs_all_of_it_is_allowed() -> None:
    assert decided(pod(RUNNING)).action is Action.ALLOW


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (pod(RUNNING[:1]), "runs InputFilter"),
        (pod(RUNNING[:2]), "runs Logging"),
        (pod(RUNNING[::2]), "runs InputFilter"),
        (pod(RUNNING[:2], sidecars=[RUNNING[2]]), "runs Logging"),
        (pod(RUNNING, {}), "log-retention is not set"),
        (pod(RUNNING, {"sluice.dev/log-retention": "89d"}), "log-retention is 89d; policy asks that logs are kept for 90d"),
        (pod(RUNNING, {"sluice.dev/log-retention": "for ever"}), "log-retention is for ever"),
        (pod(RUNNING, {"sluice.dev/log-retention": "9" * 400 + "d"}), "log-retention is 999"),
    ],
    ids=["nothing", "no-log", "no-filter", "ends-before-the-model", "no-retention", "too-short", "no-duration", "too-many-digits"],
)
def test_a_pod_that_lacks_a_control_is_denied_and_says_which(item: Object, words: str) -> None:
    decision = decided(item)
    assert (decision.action, decision.reason) == (Action.DENY, Reason.ControlNotRunning)
    assert words in decision.message
    assert decision.remedy


@pytest.mark.parametrize("kept", ["91d", "12960h"])
def test_logs_may_be_kept_longer(kept: str) -> None:
    assert decided(pod(RUNNING, {"sluice.dev/log-retention": kept})).action is Action.ALLOW


def test_a_sidecar_lives_as_long_as_the_model() -> None:
    assert decided(pod(RUNNING[:2], sidecars=[RUNNING[2] | {"restartPolicy": "Always"}])).action is Action.ALLOW


def test_a_template_is_not_judged_since_injectors_may_add_the_rest() -> None:
    assert decided(pod(RUNNING[:1]), final=False).action is Action.ALLOW


def test_a_policy_that_no_api_server_takes_is_met_by_nobody() -> None:
    (result,) = [result for result in verdict_of(world(controls=None)).results if result.requirement == "controls"]
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.CheckFailed)


def test_a_log_without_retention_needs_no_annotation() -> None:
    known = world(LOGGER, controls=[{"type": "Logging", "images": [LOGGER]}])
    assert decided(pod(RUNNING[::2], {}), known).action is Action.ALLOW


def test_what_was_waived_need_not_run() -> None:
    known = world(waivableBy=["security"])
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict_of(known).release_digest, "requirements": ["controls"], "reason": "r", "riskOwner": "o",
        "ticket": "t", "expires": "2026-12-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": ["appsec"]},
    }  # fmt: skip
    c.waive(known, c.item("ReleaseWaiver", "waiver", spec))
    assert verdict_of(known).allows is Allowance.SERVE
    assert decided(pod(RUNNING[:1]), known).action is Action.ALLOW


def test_retention_is_about_logs() -> None:
    (policy,) = (kind for kind in KINDS if kind.name == "ReleasePolicy")
    spec = crd(policy)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    (rule,) = spec["requirements"]["items"]["properties"]["controls"]["items"]["x-kubernetes-validations"]
    assert (rule["rule"], rule["message"]) == ("self.type == 'Logging' || !has(self.retention)", "retention goes with type Logging")
    assert Control.model_validate(REQUIREMENT["controls"][1]).retention == "90d"
