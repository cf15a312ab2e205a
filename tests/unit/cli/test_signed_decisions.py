"""Decisions on waivers, decisions that are signed for Git, and taking an approval back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.api.approval import WaiverSpec
from sluice.api.digests import waiver_digest
from sluice.cli import main
from sluice.decision.model import Allowance
from sluice.provenance.signing import SigningKey
from tests.unit.cli.test_decisions import APPROVE, RELEASE, Server, server
from tests.unit.decision import case as c
from tests.unit.decision import signed as s
from tests.unit.decision.test_decide import verdict_of

__all__ = ["server"]
Object = dict[str, Any]
DIGEST = RELEASE["status"]["releaseDigest"]  # type: ignore[index]
WAIVER: Object = {
    "kind": "ReleaseWaiver", "metadata": {"name": "quality", "namespace": "payments"},
    "spec": {
        "release": {"name": "churn-2-1-0"}, "releaseDigest": DIGEST, "requirements": ["quality"], "reason": "rebuilt", "riskOwner": "payments-risk",
        "ticket": "https://changes.example.com/RISK-77", "expires": "2099-12-01T00:00:00Z", "approver": {"username": "sam@example.com"},
    },
}  # fmt: skip
APPROVAL: Object = {
    "kind": "ReleaseApproval", "metadata": {"name": "by-sam", "namespace": "payments", "uid": "4a1c-uid"},
    "spec": {
        "release": {"name": "churn-2-1-0"}, "releaseDigest": DIGEST, "role": "security", "decision": "Approve", "approver": {"username": "sam@example.com"},
    },
}  # fmt: skip


def run(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=answer)


def test_what_is_approved_of_a_waiver_is_what_was_shown(server: Server) -> None:
    server.others["ReleaseWaiver"] = WAIVER
    done = run("approve", "waiver/quality", "-n", "payments", "--role", "risk", answer="y\n")
    assert done.exit_code == 0, done.output
    (created,) = server.created
    digest = waiver_digest(name="quality", spec=WaiverSpec.model_validate(WAIVER["spec"]))
    assert created["spec"] == {
        "release": {"name": "churn-2-1-0"}, "releaseDigest": DIGEST, "waiver": {"name": "quality", "digest": digest}, "role": "risk", "decision": "Approve",
    }  # fmt: skip
    shown = " ".join(done.output.split())
    assert "Approve waiver quality of churn/2.1.0 as risk" in shown
    assert "waiver quality; asked for by sam@example.com because rebuilt risk of payments-risk tracked https://changes.example.com/RISK-77" in shown


def test_a_waiver_of_what_the_release_was_before_is_not_approved(server: Server) -> None:
    server.others["ReleaseWaiver"] = WAIVER | {"spec": WAIVER["spec"] | {"releaseDigest": "sha256:" + "0" * 64}}
    done = run("approve", "mrw/quality", "-n", "payments", "--role", "risk", "--yes")
    assert (done.exit_code, server.created) == (1, [])
    assert "the waiver is of release digest sha256:000" in done.output


def test_an_approval_is_taken_back_by_its_uid(server: Server) -> None:
    server.others["ReleaseApproval"] = APPROVAL
    done = run("revoke", "mra/by-sam", "-n", "payments", "--comment", "wrong build", answer="y\n")
    assert done.exit_code == 0, done.output
    assert server.created[0]["spec"] == {
        "release": {"name": "churn-2-1-0"}, "releaseDigest": DIGEST, "role": "security", "decision": "Revoke", "revokes": "4a1c-uid", "comment": "wrong build",
    }  # fmt: skip
    for said in ("Revoke the approval of churn-2-1-0 as security", "sam@example.com", DIGEST, "4a1c-uid", "wrong build"):
        assert said in done.output


def test_only_an_approval_is_taken_back_and_only_after_a_yes(server: Server) -> None:
    server.others["ReleaseApproval"] = APPROVAL | {"spec": APPROVAL["spec"] | {"decision": "Reject"}}
    done = run("revoke", "mra/by-sam", "-n", "payments", "--yes")
    assert (done.exit_code, "says Reject; only approvals are taken back" in done.output) == (1, True)
    server.others["ReleaseApproval"] = APPROVAL
    assert run("revoke", "mra/by-sam", "-n", "payments", answer="n\n").exit_code == 1
    assert run("revoke", "by-sam", "-n", "payments", "--yes").exit_code == 2
    assert server.created == []


@pytest.fixture
def git(tmp_path: Path) -> Path:
    """A folder as it lies in Git: everything but sign-offs, and the private key of olga beside it."""
    key = SigningKey.generate()
    (tmp_path / "olga.pem").write_bytes(key.private_pem())
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    policy = s.policy()
    for requirement in policy["spec"]["requirements"]:
        for measure in requirement.get("measures", ()):
            measure.pop("maxAge", None)
    people = c.item("TrustRoot", "people", {"keys": [{"name": "olga", "pem": key.public_pem}]}, namespace="")
    items: list[Object] = [{"apiVersion": "v1"} | c.namespace(), c.trust_root(), people, policy, c.item("ModelRelease", c.NAME, c.release_spec())]
    items += [c.evidence(name, bundle, {"results.json": c.raw_results()} if name == "evaluation" else None) for name, bundle in c.bundles().items()]
    (deploy / "all.json").write_text(json.dumps({"kind": "List", "items": items}))
    return tmp_path


def signed(git: Path, *more: str, command: str = "approve", answer: str = "y\n") -> Result:
    return run(
        command, f"mr/{c.NAME}", "-n", c.NAMESPACE, "--role", "owner", "-f", git / "deploy", "--key", git / "olga.pem", *more, answer=answer,
    )  # fmt: skip


def world_of(git: Path, *manifests: Object) -> c.World:
    world = c.World()
    for item in (*json.loads((git / "deploy" / "all.json").read_text())["items"], *manifests):
        world.put(item["kind"], item)
    return world


def test_an_approval_is_signed_from_files_and_counts_whoever_applies_it(git: Path) -> None:
    done = signed(git, "--expires", "2099-12-20T02:00:00+02:00", "--comment", "see CHG-1")
    assert done.exit_code == 0, done.output
    manifest = yaml.safe_load(done.stdout)
    assert (manifest["kind"], manifest["metadata"]["namespace"]) == ("ReleaseEvidence", c.NAMESPACE)
    for shown in (verdict_of(world_of(git)).release_digest, verdict_of(world_of(git)).evidence_digest, "Sign: Approve as owner?"):
        assert shown in done.stderr
    world = world_of(git, manifest)
    # Signed now, which is later than the clock of these tests.
    (fact,) = world.evidence[c.Key(c.NAMESPACE, manifest["metadata"]["name"])].facts
    assert fact.signer.key == "olga"
    later = fact.content.decided_at  # type: ignore[union-attr]
    verdict = world.verdict(c.KEY, now=max(later, c.NOW))
    assert verdict is not None
    assert [(each.username, each.role, each.counts) for each in verdict.approvals] == [("olga@example.com (key olga of TrustRoot people)", "owner", True)]
    (git / "deploy" / "approval.yaml").write_text(done.stdout)
    (answer,) = json.loads(run("check", "-f", git / "deploy", "-n", c.NAMESPACE, "-o", "json").stdout)
    assert "approved so far: owner (olga@example.com" in json.dumps(answer)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--role", "owner"], None),
        (["--role", "security"], "no policy gives olga@example.com"),
        (["--role", "owner", "--key", "eve.pem"], "has a signer with this key"),
    ],
)
def test_who_signs_what_would_not_count_is_told_so_at_once(git: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str | None) -> None:
    monkeypatch.chdir(git)
    Path("eve.pem").write_bytes(SigningKey.generate().private_pem())
    done = signed(git, *more, "--expires", "2099-12-20T00:00:00Z")
    assert (done.exit_code, yaml.safe_load(done.stdout)["kind"]) == (0, "ReleaseEvidence")
    assert [line.partition(": ")[2].count(said or "") > 0 for line in done.stderr.splitlines() if line.startswith("note: ")] == ([True] if said else [])


def test_nothing_is_signed_without_a_yes_an_end_and_a_key(git: Path) -> None:
    ends = ("--expires", "2099-12-20T00:00:00Z")
    for done, code, said in (
        (signed(git, *ends, answer="n\n"), 1, "nothing was signed"),
        (signed(git), 2, "an approval that is signed ends"),
        (run("approve", f"mr/{c.NAME}", "-n", c.NAMESPACE, "--role", "owner", "-f", git / "deploy", *ends), 2, "--filename goes with --key or --keyless"),
        (run("approve", f"mr/{c.NAME}", "-n", "elsewhere", "--role", "owner", "-f", git / "deploy", "--key", git / "olga.pem", *ends), 3, "no ModelRelease"),
        (signed(git, *ends, "--comment", "two\nlines"), 2, "predicate.comment"),
    ):
        assert (done.exit_code, said in done.output) == (code, True), done.output
        assert "ReleaseEvidence" not in done.stdout


def test_a_dry_run_shows_what_would_be_signed(git: Path) -> None:
    done = signed(git, "--expires", "2099-12-20T00:00:00Z", "--dry-run", "-o", "json")
    statement = json.loads(done.stdout)
    assert (statement["predicateType"], statement["predicate"]["expires"]) == ("https://sluice.dev/approval/v1", "2099-12-20T00:00:00Z")


def test_what_was_signed_is_taken_back_by_a_signature_too(git: Path) -> None:
    approval = yaml.safe_load(signed(git, "--expires", "2099-12-20T00:00:00Z").stdout)
    (git / "deploy" / "approval.json").write_text(json.dumps(approval))
    at = f"mre/{approval['metadata']['name']}"
    done = run("revoke", at, "-n", c.NAMESPACE, "-f", git / "deploy", "--key", git / "olga.pem", "--yes")
    assert done.exit_code == 0, done.output
    verdict = world_of(git, approval, yaml.safe_load(done.stdout)).verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert {(each.revokes, each.counts, str(each.reason)) for each in verdict.approvals} >= {(True, True, "Counted")}
    assert verdict.allows is Allowance.NOTHING
    assert run("revoke", "mre/evaluation", "-n", c.NAMESPACE, "-f", git / "deploy", "--key", git / "olga.pem", "--yes").exit_code == 1


def test_a_rejection_is_signed_without_an_end(git: Path) -> None:
    rejection = yaml.safe_load(signed(git, command="reject").stdout)
    assert verdict_of(world_of(git, rejection)).rejected


def test_a_decision_in_the_cluster_needs_no_end(server: Server) -> None:
    assert run(*APPROVE, "--yes").exit_code == 0
    assert "expires" not in server.created[0]["spec"]
