"""The example of a model from a hub is one that works: what signers leave out is accepted, and its Pod loads nothing that was not compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sluice.api.policy import PolicySpec
from sluice.api.release import ReleaseSpec
from sluice.decision.model import Release
from sluice.decision.pod import view_template
from sluice.decision.weights import checks_for, stored_weights, weights_problem
from sluice.provenance.model_statement import GIT_PATHS
from tests.unit.decision import case

OBJECTS: dict[str, Any] = {
    obj["kind"]: obj for obj in yaml.safe_load_all((Path(__file__).parents[2] / "examples/HubModel.yaml").read_text()) if obj is not None
}
VERIFIER = f"registry.example.com/sluice@{case.digest_of('sluice')}"


def release() -> Release:
    world = case.verified_world()
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, OBJECTS["ModelRelease"]["spec"]))
    found = world.releases[case.KEY]
    assert isinstance(found, Release), found
    return found


def test_the_policy_accepts_just_what_signers_leave_out_unless_told_otherwise() -> None:
    policy = PolicySpec.model_validate(OBJECTS["ReleasePolicy"]["spec"])
    (signed,) = [requirement for requirement in policy.requirements if requirement.type == "ModelSignature"]
    assert signed.accept_uncovered == sorted(GIT_PATHS)


def test_the_download_leaves_these_out_for_the_check_would_refuse_them() -> None:
    (fetch,) = OBJECTS["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert "--exclude '.git*'" in fetch["args"][0]
    assert [path for path in GIT_PATHS if not path.startswith(".git")] == []


def test_the_weights_are_checked_in_the_volume_that_is_downloaded_to_and_nobody_can_write_there_afterwards() -> None:
    ReleaseSpec.model_validate(OBJECTS["ModelRelease"]["spec"])
    pod = OBJECTS["Deployment"]["spec"]["template"]
    checks = checks_for(view_template(pod), release(), VERIFIER)
    assert isinstance(checks, tuple), checks
    assert [(check.weights.uri, check.volume, check.user) for check in checks] == [("hf://acme/assist-7b", "model", 1000)]
    assert len(stored_weights(release())) == 1
    final = pod | {"spec": pod["spec"] | {"initContainers": [*pod["spec"]["initContainers"], checks[0].container()]}}
    assert weights_problem(view_template(final), release(), VERIFIER) is None
    images = {artifact["uri"] for artifact in OBJECTS["ModelRelease"]["spec"]["artifacts"] if artifact["type"] == "Image"}
    assert {container["image"] for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])} <= images
