"""`sluice verify release` says of files what the cluster would say, and 0 only of what may serve."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from sluice.cli import desk
from sluice.cli.access import Access
from sluice.decision.world import World
from tests.unit.cli.models import run
from tests.unit.decision import case as c

Object = dict[str, Any]


def manifests() -> list[Object]:
    """What `case.approved_world` is made of. Evaluations age, and this command looks at the clock: their age is not asked for."""
    policy = c.policy_spec()
    for requirement in policy["requirements"]:
        for measure in requirement.get("measures", ()):
            measure.pop("maxAge")
    found = [
        c.namespace(), c.trust_root(), c.item("ReleasePolicy", "customer-facing", policy, namespace=""), c.item("ModelRelease", c.NAME, c.release_spec()),
        *(c.evidence(name, bundle, {"results.json": c.raw_results()} if name == "evaluation" else None) for name, bundle in c.bundles().items()),
    ]  # fmt: skip
    world = World()
    for item in found:
        world.put(item["kind"], item)
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    people: tuple[tuple[str, str, str, list[str]], ...] = (
        ("by-owner", "owner", "olga@example.com", ["payments-ml-leads"]),
        ("by-security", "security", "sam@example.com", []),
    )
    return [*found, *(c.approval(name, world, role=role, username=username, groups=groups, expires=ends) for name, role, username, groups in people)]


def verify(folder: Path, items: list[Object], *options: str) -> Result:
    path = folder / "all.yaml"
    path.write_text(yaml.dump_all(items, Dumper=yaml.CSafeDumper))
    return run("verify", "release", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", path, "-o", "json", *options)


def test_what_may_serve_is_verified_and_every_requirement_is_told(tmp_path: Path) -> None:
    found = verify(tmp_path, manifests())
    answer = json.loads(found.stdout)
    assert (found.exit_code, answer["verified"], answer["phase"]) == (0, True, "Serving"), answer
    assert [(one["name"], one["outcome"]) for one in answer["requirements"]] == [
        (name, "Satisfied") for name in ("weights-signed", "built-here", "quality", "approvals")
    ]
    assert [(one["name"], one["reason"]) for one in answer["decisions"]] == [("by-owner", "Counted"), ("by-security", "Counted")]


def test_programs_get_what_is_missing_with_its_remedy_and_people_a_line(tmp_path: Path) -> None:
    found = verify(tmp_path, [item for item in manifests() if item["kind"] != "ReleaseApproval"])
    (missing,) = (one for one in json.loads(found.stdout)["requirements"] if one["outcome"] != "Satisfied")
    assert (missing["name"], missing["outcome"], missing["reason"]) == ("approvals", "Missing", "ApprovalMissing")
    assert missing["remedy"].startswith(f"kubectl sluice approve mr/{c.NAME} -n {c.NAMESPACE} --role owner")
    shown = run("verify", "release", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", tmp_path / "all.yaml").stdout
    assert re.search(r"^  requirements +Missing +approvals \(ApprovalMissing\): .* → kubectl sluice approve", shown, re.MULTILINE)


@pytest.mark.parametrize("gone", ["TrustRoot", "ReleasePolicy", "ReleaseEvidence", "ReleaseApproval", "Namespace"])
def test_without_any_part_of_it_nothing_is_verified(tmp_path: Path, gone: str) -> None:
    found = verify(tmp_path, [item for item in manifests() if item["kind"] != gone])
    assert (found.exit_code, json.loads(found.stdout)["verified"]) == (1, False)


def test_a_revocation_can_be_tried_on_files_before_it_is_made(tmp_path: Path) -> None:
    items = manifests()
    root = next(item for item in items if item["kind"] == "TrustRoot")
    root["spec"]["revoked"] = [{"type": "Artifact", "digest": c.weights_digest(), "reason": "poisoned"}]
    found = verify(tmp_path, items)
    answer = json.loads(found.stdout)
    assert (found.exit_code, answer["phase"], answer["reason"]) == (1, "Revoked", "ArtifactRevoked")


def test_no_status_in_a_file_is_believed(tmp_path: Path) -> None:
    items = [item for item in manifests() if item["kind"] != "ReleaseApproval"]
    release = next(item for item in items if item["kind"] == "ModelRelease")
    release["status"] = {"phase": "Serving"}
    assert verify(tmp_path, items).exit_code == 1


def way_back(tmp_path: Path, status: Object | None = None) -> tuple[Object, str]:
    """What a plan to go back to a release that is not there comes to, and the release digest."""
    items = manifests()
    policy = next(item for item in items if item["kind"] == "ReleasePolicy")
    policy["spec"]["requirements"].append({"name": "way-back", "type": "RollbackPlan"})
    release = next(item for item in items if item["kind"] == "ModelRelease")
    release["spec"] |= {"rollback": {"criteria": "worse"}, "residualRisk": {"owner": "payments-risk", "statement": "none"}}
    release |= {"status": status} if status else {}
    answer = json.loads(verify(tmp_path, items).stdout)
    assert answer["riskOwner"] == "payments-risk"
    return next(one for one in answer["requirements"] if one["name"] == "way-back"), answer["releaseDigest"]


def test_a_file_that_says_of_itself_that_it_serves_does_not(tmp_path: Path) -> None:
    without, digest = way_back(tmp_path)
    assert (without["outcome"], without["reason"]) == ("Missing", "BaselineNotEntitled")
    assert way_back(tmp_path, {"phase": "Serving", "releaseDigest": digest}) == (without, digest)


def test_what_the_cluster_has_of_a_status_stays_when_a_file_is_laid_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serving(*_: object) -> tuple[list[Object], list[str]]:
        return [c.item("ModelRelease", c.NAME, c.release_spec()) | {"status": {"phase": "Serving", "releaseDigest": digest}}], []

    _, digest = way_back(tmp_path)
    monkeypatch.setattr(desk, "_from_cluster", serving)
    cluster = desk.Cluster(access=Access(kubeconfig=None, context=None), sluice_namespace="sluice-system")
    laid = desk.Desk.laid_out(files=[tmp_path / "all.yaml"], namespace=c.NAMESPACE, cluster=cluster)
    verdict = laid.world.verdict(c.KEY, now=datetime.now(UTC))
    assert verdict is not None
    assert "it serves already, and goes on" in next(result.message for result in verdict.results if result.requirement == "way-back")


def test_a_time_needs_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    verify(tmp_path, manifests())
    written = path.read_text()
    path.write_text(re.sub(r"expires: '([^']*)'", r"expires: \1", written))
    assert path.read_text() != written
    assert run("verify", "release", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", path).exit_code == 0


@pytest.mark.parametrize("content", [b"{", b"- 1", b"\xff", b"a: &a [*a]", b"kind: ModelRelease", b""])
def test_files_that_cannot_be_read_are_no_answer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    assert run("verify", "release", c.NAME, "-n", c.NAMESPACE, "-f", path).exit_code == 3


def test_a_release_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    assert verify(tmp_path, [item for item in manifests() if item["kind"] != "ModelRelease"]).exit_code == 3


def test_a_release_of_another_name_is_answered_with_what_there_is(tmp_path: Path) -> None:
    found = verify(tmp_path, [*manifests(), c.item("ModelRelease", "churn-2-0-0", c.release_spec())])
    assert found.exit_code == 0
    path = tmp_path / "all.yaml"
    missed = run("verify", "release", "mr/churn", "-n", c.NAMESPACE, "-f", path)
    assert missed.exit_code == 3
    assert f"there is {c.NAMESPACE}/churn-2-0-0, {c.NAMESPACE}/{c.NAME}" in missed.output


def test_without_the_namespace_it_is_said_that_policies_select_by_its_labels(tmp_path: Path) -> None:
    found = verify(tmp_path, [item for item in manifests() if item["kind"] != "Namespace"])
    assert f"note: the Namespace {c.NAMESPACE} is not among the files" in found.stderr
    assert "note" not in verify(tmp_path, manifests()).stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "ReleasePolcy"}, "sluice.dev has no kind 'ReleasePolcy'; it has ModelRelease, "),
        ({"apiVersion": "sluice.dev/v1"}, "ReleasePolicy is of apiVersion sluice.dev/v1alpha1, not sluice.dev/v1"),
        ({"apiVersion": "policy.example.com/v1"}, "ReleasePolicy is of apiVersion sluice.dev/v1alpha1"),
        (
            {"spec": c.policy_spec() | {"revoked": [{"type": "Identity", "identity": "https://ci.example.com", "reason": "left"}]}},
            "no cluster would take this ReleasePolicy: spec.revoked[0].issuer: issuer goes with type Identity, which needs it",
        ),
    ],
)
def test_a_policy_that_the_api_server_would_not_take_is_not_passed_over(tmp_path: Path, change: Object, said: str) -> None:
    stricter = c.item("ReleasePolicy", "stricter", c.policy_spec(), namespace="") | {"apiVersion": "sluice.dev/v1alpha1"} | change
    found = verify(tmp_path, [*manifests(), stricter])
    assert found.exit_code == 3
    assert said in found.output
