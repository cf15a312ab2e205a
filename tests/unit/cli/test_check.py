"""`sluice check` says of files what the cluster would say, in the forms that people and machines read; `explain` and `diff` say why, and what changed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.unit.cli.models import run
from tests.unit.cli.test_verify_release import manifests
from tests.unit.decision import case as c
from tests.unit.decision.test_envelope import OLD_WEIGHTS, baseline_spec, every, samples

Object = dict[str, Any]
RELEASE_FILE = f"ModelRelease-{c.NAME}.yaml"


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A folder with everything that lets a release serve: a file for each object, some of them further below."""
    for item in manifests():
        folder = tmp_path / "deploy" / ("evidence" if item["kind"] == "ReleaseEvidence" else "")
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.dump({"apiVersion": "v1"} | item, Dumper=yaml.CSafeDumper)
        (folder / f"{item['kind']}-{item['metadata']['name']}.yaml").write_text(f"# a comment\n---\n{text}")
    (tmp_path / "deploy" / "README.md").write_text("no manifest: {")
    return tmp_path / "deploy"


def without(deploy: Path, kind: str) -> Path:
    for path in deploy.rglob(f"{kind}-*.yaml"):
        path.unlink()
    return deploy


def test_a_folder_in_which_everything_is_passes(deploy: Path) -> None:
    found = run("check", "-f", deploy)
    assert found.exit_code == 0, found.output
    assert f"✓ {c.NAMESPACE}/{c.NAME}  Serving" in found.stdout
    assert "1 of 1 release may go on" in found.stdout
    (answer,) = json.loads(run("check", "-f", deploy, "-o", "json").stdout)
    assert (answer["passes"], answer["phase"], len(answer["requirements"])) == (True, "Serving", 4)
    assert yaml.safe_load(run("check", "-f", deploy, "-o", "yaml").stdout) == [answer]


@pytest.mark.parametrize(("kind", "until_approval"), [("ReleaseApproval", 0), ("ReleaseEvidence", 1), ("ReleasePolicy", 1), ("TrustRoot", 1)])
def test_what_comes_after_a_merge_may_be_missing_when_asked_so_and_nothing_else(deploy: Path, kind: str, until_approval: int) -> None:
    without(deploy, kind)
    assert run("check", "-f", deploy).exit_code == 1
    assert run("check", "-f", deploy, "--until", "approval").exit_code == until_approval


def test_sarif_points_at_the_manifest_with_a_rule_for_each_reason(deploy: Path) -> None:
    without(deploy, "ReleaseApproval")
    found = run("check", "-f", deploy, "-o", "sarif")
    log = json.loads(found.stdout)
    (one,) = log["runs"]
    (result,) = one["results"]
    assert (found.exit_code, log["version"], result["ruleId"], result["level"]) == (1, "2.1.0", "ApprovalMissing", "error")
    assert one["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "ApprovalMissing"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ((deploy / RELEASE_FILE).as_posix(), 3)
    assert "kubectl sluice approve" in result["message"]["text"]
    (enough,) = json.loads(run("check", "-f", deploy, "-o", "sarif", "--until", "approval").stdout)["runs"]
    assert enough["results"][0]["level"] == "warning"


def test_junit_has_a_test_for_each_requirement(deploy: Path) -> None:
    assert [case.get("name") for case in ET.fromstring(run("check", "-f", deploy, "-o", "junit").stdout).iter("testcase")] == [  # noqa: S314 - our own
        "weights-signed", "built-here", "quality", "approvals",
    ]  # fmt: skip
    without(deploy, "ReleaseApproval")
    failed = ET.fromstring(run("check", "-f", deploy, "-o", "junit").stdout)  # noqa: S314 - our own
    assert [case.get("type") for case in failed.iter("failure")] == ["ApprovalMissing"]
    waits = ET.fromstring(run("check", "-f", deploy, "-o", "junit", "--until", "approval").stdout)  # noqa: S314 - our own
    assert (len(list(waits.iter("failure"))), len(list(waits.iter("skipped")))) == (0, 1)


def test_a_rejection_is_shown_where_every_requirement_is_met(deploy: Path) -> None:
    approval = next(item for item in manifests() if item["kind"] == "ReleaseApproval")
    approval["spec"] |= {"decision": "Reject"}
    (deploy / "reject.yaml").write_text(yaml.safe_dump(approval | {"metadata": approval["metadata"] | {"name": "no"}}))
    found = run("check", "-f", deploy, "-o", "junit")
    assert found.exit_code == 1
    assert [case.get("type") for case in ET.fromstring(found.stdout).iter("failure")] == ["Rejected"]  # noqa: S314 - our own
    assert json.loads(run("check", "-f", deploy, "-o", "sarif").stdout)["runs"][0]["results"][0]["ruleId"] == "Rejected"


def test_only_the_releases_that_are_named_are_looked_at(deploy: Path) -> None:
    (deploy / "other.yaml").write_text(yaml.safe_dump(c.item("ModelRelease", c.BASELINE, baseline_spec())))
    assert run("check", "-f", deploy).exit_code == 1
    assert run("check", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy).exit_code == 0
    missing = run("check", "mr/none", "-n", c.NAMESPACE, "-f", deploy)
    assert (missing.exit_code, f"there is {c.NAMESPACE}/{c.BASELINE}" in missing.stderr) == (3, True)


def test_a_folder_without_releases_or_manifests_is_no_answer(tmp_path: Path, deploy: Path) -> None:
    (tmp_path / "empty").mkdir()
    nothing = run("check", "-f", tmp_path / "empty")
    assert (nothing.exit_code, ".yaml, .yml" in nothing.stderr) == (3, True)
    without(deploy, "ModelRelease")
    none = run("check", "-f", deploy)
    assert (none.exit_code, "no ModelRelease in the files" in none.stderr) == (3, True)


def test_a_manifest_that_no_cluster_would_take_is_no_answer(deploy: Path) -> None:
    (deploy / "policy.yaml").write_text("kind: ReleasePolicy\napiVersion: sluice.dev/v9\nmetadata: {name: p}\n")
    found = run("check", "-f", deploy)
    assert (found.exit_code, "sluice.dev/v1alpha1" in found.stderr) == (3, True)


@pytest.mark.parametrize("kind", ["ReleaseApproval", "ReleaseEvidence", "ReleaseMonitor", "ReleaseWaiver", "TrustRoot"])
def test_a_file_with_a_slip_in_a_field_is_no_answer_even_where_all_else_is_met(deploy: Path, kind: str) -> None:
    (deploy / "slip.yaml").write_text(
        f"apiVersion: sluice.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: slip, namespace: {c.NAMESPACE}}}\nspec: {{decison: Reject}}\n"
    )
    found = run("check", "-f", deploy)
    assert found.exit_code == 3, found.output
    assert f"slip.yaml: no cluster would take this {kind}: spec." in found.stderr


def test_a_trust_root_that_is_not_in_the_files_is_told_with_what_to_do(deploy: Path) -> None:
    without(deploy, "TrustRoot")
    (answer,) = json.loads(run("check", "-f", deploy, "-o", "json").stdout)
    result = answer["requirements"][0]
    assert (result["outcome"], result["reason"]) == ("Missing", "TrustRootNotFound")
    assert "policy customer-facing: spec.signers[trainer-ci].trustRoot: there is no TrustRoot 'ci'" in result["message"]
    assert "kubectl apply the TrustRoot ci (for sluice check: add its file to the folder)" in result["remedy"]


def test_a_waiver_that_waits_for_others_is_shown_and_so_is_one_that_names_nothing(deploy: Path) -> None:
    policy = deploy / "ReleasePolicy-customer-facing.yaml"
    named = yaml.safe_load(policy.read_text().partition("---")[2])
    named["spec"]["requirements"][2]["waivableBy"] = ["security"]
    policy.write_text(yaml.safe_dump(named))
    (deploy / "evidence" / "ReleaseEvidence-evaluation.yaml").unlink()
    world = c.World()
    for item in manifests():
        world.put(item["kind"], item)
    digest = world.releases[c.KEY].digest  # type: ignore[union-attr]
    for name, requirement in (("rebuilt", "quality"), ("slip", "qualty")):
        spec = {
            "release": {"name": c.NAME}, "releaseDigest": digest, "requirements": [requirement], "reason": "r", "riskOwner": "o",
            "ticket": "https://changes.example.com/77", "expires": "2099-01-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": []},
        }  # fmt: skip
        (deploy / f"{name}.yaml").write_text(yaml.safe_dump(c.item("ReleaseWaiver", name, spec)))
    shown = " ".join(run("check", "-f", deploy).stdout.split())
    assert "waiver rebuilt by sam@example.com does not count (WaiverNotApproved): nobody waives alone" in shown
    assert "or kubectl sluice approve waiver/rebuilt -n payments --role security" in shown
    assert "waiver slip by sam@example.com does not count (NothingToWaive): no policy lets sam@example.com waive qualty" in shown
    (answer,) = json.loads(run("check", "-f", deploy, "-o", "json").stdout)
    assert [(each["name"], each["counts"], each["waives"]) for each in answer["waivers"]] == [("rebuilt", False, ["quality"]), ("slip", False, ["qualty"])]
    assert {each["name"]: each["counts"] for each in answer["approvals"]} == {"by-owner": False, "by-security": False}, "the evidence is another one now"


def test_without_the_namespace_the_reason_is_told(deploy: Path) -> None:
    without(deploy, "Namespace")
    found = run("check", "-f", deploy)
    assert (found.exit_code, "the Namespace payments is not among the files" in found.stderr) == (1, True)


def test_the_controls_of_a_requirement_are_told_with_what_they_are_about(deploy: Path) -> None:
    policy = deploy / "ReleasePolicy-customer-facing.yaml"
    named = yaml.safe_load(policy.read_text().partition("---")[2])
    named["spec"]["requirements"][0]["controlMappings"] = ["NIST-CSF-2.0:PR.DS-01", "NIST-AI-RMF:MAP-9.9"]
    policy.write_text(yaml.safe_dump(named))
    (answer,) = json.loads(run("check", "-f", deploy, "-o", "json").stdout)
    assert [each["controlMappings"] for each in answer["requirements"]] == [["NIST-CSF-2.0:PR.DS-01", "NIST-AI-RMF:MAP-9.9"], [], [], []]
    words = " ".join(run("explain", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy).stdout.split())
    assert "helps with NIST-CSF-2.0:PR.DS-01, data at rest stays confidential, unchanged and available helps with NIST-AI-RMF:MAP-9.9" in words


def test_explain_says_what_each_requirement_rests_on_and_who_can_do_what(deploy: Path) -> None:
    told = run("explain", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy)
    words = " ".join(told.stdout.split())
    assert told.exit_code == 0
    assert f"churn/2.1.0 (mr/{c.NAME} in payments) may serve: Serving" in words
    assert re.search(r"quality Satisfied \(EvaluationPassed\), asked by customer-facing .* rests on evaluation, sha256:", words)
    assert "by-owner: olga@example.com owner" in words
    assert "the verdict stays as it is until" in words
    without(deploy, "ReleaseApproval")
    waits = run("explain", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy)
    words = " ".join(waits.stdout.split())
    assert waits.exit_code == 0
    assert "may not serve: AwaitingApproval" in words
    assert "Not enough people signed off yet. → kubectl sluice approve" in words
    assert run("explain", "mr/none", "-n", c.NAMESPACE, "-f", deploy).exit_code == 3


def both(deploy: Path) -> list[Object]:
    """A baseline with tools of its own, and evaluations of both by their cases."""
    spec = baseline_spec() | {"authority": {"serviceAccount": "other"}}
    found = [c.item("ModelRelease", c.BASELINE, spec)]
    for name, digest, raw in (("of-old", OLD_WEIGHTS, samples(every(10))), ("of-new", c.weights_digest(), samples(every(8)))):
        packed = gzip.compress(raw)
        bundle = c.sign(c.evaluation_statement(digest, "raw", packed), identity=c.EVALUATOR)
        found.append(c.evidence(name, bundle, {"raw": packed}))
    (deploy / "both.yaml").write_text(yaml.safe_dump_all(found))
    return found


def test_diff_shows_artifacts_authority_and_measurements(deploy: Path) -> None:
    both(deploy)
    command = ("diff", f"mr/{c.BASELINE}", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy)
    answer = json.loads(run(*command, "-o", "json").stdout)
    changed = {each["field"]: (each["old"], each["new"]) for each in answer["changes"]}
    assert changed["version"] == ("2.0.0", "2.1.0")
    assert changed["artifacts[weights].digest"] == (OLD_WEIGHTS, c.weights_digest())
    assert changed["authority.tools[crm.read].effect"] == (None, "Read")
    assert "artifacts[server].digest" not in changed
    assert {each["change"] for each in answer["security"]} >= {"ToolAdded", "ServiceAccountChanged"}
    (measured,) = [each for each in answer["measurements"] if each["filter"] == ""]
    assert (measured["old"], measured["new"], measured["paired"], measured["cases"]) == (0.9, 0.875, True, 1000)
    assert measured["gained"] - measured["lost"] == -25
    assert measured["difference"] == pytest.approx(-0.025)
    assert -0.06 < measured["atLeast"] < measured["difference"] < measured["atMost"] < 0.01
    sliced = json.loads(run(*command, "--slices", "-o", "json").stdout)["measurements"]
    assert {each["slice"] for each in sliced if each["filter"] == ""} == {"", "region=DACH", "region=UK"}
    table = run(*command)
    assert table.exit_code == 0
    assert "ToolAdded: tool crm.read is new, effect Read" in table.stdout
    assert yaml.safe_load(run(*command, "-o", "yaml").stdout) == answer


def test_diff_of_releases_that_nobody_measured_says_so(deploy: Path) -> None:
    without(deploy, "ReleaseEvidence")
    (deploy / "old.yaml").write_text(yaml.safe_dump(c.item("ModelRelease", c.BASELINE, baseline_spec())))
    found = run("diff", f"mr/{c.BASELINE}", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy)
    assert (found.exit_code, "No verified evaluation speaks of either." in found.stdout) == (0, True)
    assert run("diff", "mr/none", f"mr/{c.NAME}", "-n", c.NAMESPACE, "-f", deploy).exit_code == 3


AUTHORITY = {"name": "least", "type": "Authority", "grants": ["Permissions"]}
WRITER: Object = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "writer"},
                  "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"]}]}  # fmt: skip
BOUND: Object = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "churn", "namespace": c.NAMESPACE},
                 "roleRef": {"kind": "ClusterRole", "name": "writer"}, "subjects": [{"kind": "ServiceAccount", "name": "churn"}]}  # fmt: skip


def least(deploy: Path, *more: Object) -> Path:
    """Ask for least authority, and nothing else, and lay these beside the rest."""
    (path,) = deploy.rglob("ReleasePolicy-*.yaml")
    (policy,) = [item for item in yaml.safe_load_all(path.read_text()) if item]
    policy["spec"]["requirements"] = [AUTHORITY]
    path.write_text(yaml.safe_dump(policy))
    (deploy / "more.yaml").write_text(yaml.safe_dump_all(more))
    return deploy


def test_what_only_a_cluster_knows_is_no_answer_and_what_the_files_show_is_one(deploy: Path) -> None:
    unknown = run("check", "-f", least(deploy, WRITER))
    assert (unknown.exit_code, "AuthorityUnknown" in unknown.stdout) == (3, True)
    assert run("check", "-f", deploy, "--until", "approval").exit_code == 3
    found = run("check", "-f", least(deploy, WRITER, BOUND), "-o", "json")
    (answer,) = json.loads(found.stdout)
    assert (found.exit_code, answer["requirements"][0]["reason"]) == (1, "AuthorityExceeded")
    # Others have kinds of the same names.
    assert run("check", "-f", least(deploy, WRITER | {"apiVersion": "iam.example.com/v1"}, BOUND)).exit_code == 3
