"""What the webhook answers about Deployments and the other owners of Pods."""

from typing import Any

import pytest

from sluice.webhook import owners
from sluice.webhook.admission import Path
from tests.unit.decision.case import NAME, approval, approved_world, verified_world
from tests.unit.webhook.reviews import ask, body, deployment, held_with, patched, pod

DEPLOYMENTS = "apps/v1/deployments"


def owner(resource: str, template: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": template}
    return {"metadata": {"name": "churn"}, "spec": {"jobTemplate": {"spec": spec}} if resource.endswith("cronjobs") else spec}


def test_an_entitled_deployment_is_resumed_in_the_request_in_which_it_was_paused() -> None:
    response = ask(Path.MUTATE, approved_world(), body(deployment(), about=DEPLOYMENTS))
    assert patched(deployment(), response) == deployment(held=None, paused=False)


def test_a_deployment_that_waits_stays_paused() -> None:
    response = ask(Path.MUTATE, verified_world(), body(deployment(), about=DEPLOYMENTS))
    assert (response["allowed"], response.get("patch")) == (True, None)
    warnings = held_with(ask(Path.VALIDATE, verified_world(), body(deployment(), about=DEPLOYMENTS)), "ApprovalMissing")
    assert warnings[0].startswith("held by sluice: ")


@pytest.mark.parametrize("held", [None, "", "churn-2-0-0"])
def test_only_the_pause_for_this_release_is_taken_off(held: str | None) -> None:
    assert "patch" not in ask(Path.MUTATE, approved_world(), body(deployment(held=held), about=DEPLOYMENTS))


def test_the_owners_own_pause_stays() -> None:
    response = ask(Path.MUTATE, approved_world(), body(deployment(), about=DEPLOYMENTS, old=deployment(held=None)))
    assert patched(deployment(), response) == deployment(held=None, paused=True)
    response = ask(Path.MUTATE, approved_world(), body(deployment(), about=DEPLOYMENTS, old=deployment()))
    assert patched(deployment(), response) == deployment(held=None, paused=False)


def test_an_entitled_release_does_not_resume_a_template_that_contradicts_it() -> None:
    obj = deployment()
    obj["spec"]["template"]["spec"]["serviceAccountName"] = "admin"
    assert "patch" not in ask(Path.MUTATE, approved_world(), body(obj, about=DEPLOYMENTS))
    warnings = held_with(ask(Path.VALIDATE, approved_world(), body(obj, about=DEPLOYMENTS)), "ServiceAccountNotPermitted")
    assert warnings[0].startswith("Pods will be denied by sluice: ")


def test_a_blind_webhook_resumes_nothing() -> None:
    response = ask(Path.MUTATE, approved_world(), body(deployment(), about=DEPLOYMENTS), blind="it is too old")
    assert (response["allowed"], response.get("patch")) == (True, None)


@pytest.mark.parametrize("resource", list(owners.TEMPLATES))
@pytest.mark.parametrize("dry_run", [True, False])
def test_no_owner_is_ever_denied_and_each_gets_the_warning(resource: str, dry_run: bool) -> None:
    rejected = verified_world()
    rejected.put("ReleaseApproval", approval("no", rejected, role="security", username="sam@example.com", groups=[], decision="Reject"))
    obj = owner(resource, pod(gated=False))
    held_with(ask(Path.VALIDATE, rejected, body(obj, about=resource, dryRun=dry_run)), "Rejected")
    held_with(ask(Path.VALIDATE, rejected, body(owner(resource, pod(release="x", gated=False)), about=resource, dryRun=dry_run)), "ReleaseNotFound")
    held_with(ask(Path.VALIDATE, rejected, body(owner(resource, pod(release=None, gated=False)), about=resource)), "ReleaseNotNamed")
    assert ask(Path.VALIDATE, approved_world(), body(obj, about=resource)) == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}


@pytest.mark.parametrize("broken", [{}, {"spec": None}, {"spec": {"template": []}}, {"spec": {"template": {"spec": {"containers": 3}}}}])
def test_an_owner_that_cannot_be_read_is_left_held_with_a_warning(broken: dict[str, Any]) -> None:
    for path in Path:
        held_with(ask(path, approved_world(), body(broken, about=DEPLOYMENTS)), "ObjectInvalid")


def test_a_failing_check_holds_an_owner_and_denies_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    world = approved_world()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(world, "subject", fail)
    held_with(ask(Path.VALIDATE, world, body(deployment(), about=DEPLOYMENTS)), "CheckFailed")
    for path in Path:
        response = ask(path, world, body(pod()))
        assert response["allowed"] is False
        assert "a defect" not in response["status"]["message"]


def test_the_message_of_a_warning_names_the_release() -> None:
    warnings = held_with(ask(Path.VALIDATE, approved_world(), body(owner("batch/v1/jobs", pod(release="x")), about="batch/v1/jobs")), "ReleaseNotFound")
    assert NAME not in warnings[0]
    assert "ModelRelease x" in warnings[0]
