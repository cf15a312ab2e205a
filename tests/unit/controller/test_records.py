"""The record of a verdict that allows: made once, found again, signed over everything that the verdict rests on; and read back at a desk."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.names import CONTROLLER_KEY, RECORD_LABEL
from sluice.cluster.resource import EVIDENCE, NAMESPACES
from sluice.controller.records import Recorder
from sluice.decision.model import Release
from sluice.decision.record import record_of
from sluice.decision.world import World
from sluice.evidence.verdict_record import EXTENSION, VerdictRecord, parse_record
from sluice.evidence.vsa import parse_summary
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.published import TRUST_ROOT_ENTRY, with_key
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import Statement, parse_statement
from tests.unit.api_memory import MemoryClient
from tests.unit.cli.models import run
from tests.unit.cli.test_verify_release import manifests
from tests.unit.decision import case as c

Object = dict[str, Any]


class Bench:
    """A release, and the records that are made of it."""

    def __init__(self, world: World) -> None:
        self.world, self.client, self.key = world, MemoryClient(), c.controller_key()
        self.client.put(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "cluster-1"}})
        self.recorder = self.process()

    def process(self) -> Recorder:
        return Recorder(client=self.client, key=lambda: self.key)

    async def keep(self, *, after: timedelta = timedelta()) -> None:
        verdict, release = self.world.verdict(c.KEY, now=c.NOW + after), self.world.releases[c.KEY]
        assert verdict is not None
        assert isinstance(release, Release)
        await self.recorder.keep(c.KEY, release, verdict, self.world, now=c.NOW + after)

    @property
    def records(self) -> list[Object]:
        return [obj for path, obj in self.client.objects.items() if path.startswith(EVIDENCE.path(c.NAMESPACE))]

    def statement(self) -> Statement:
        (record,) = self.records
        return parse_statement(verify_bundle(base64.b64decode(record["spec"]["bundle"]["inline"]), c.controller_keys()).payload)


async def test_a_verdict_that_allows_is_recorded_once_however_often_it_is_looked_at() -> None:
    bench = Bench(c.approved_world())
    for minutes in range(3):
        await bench.keep(after=timedelta(minutes=minutes))
    (record,) = bench.records
    assert record["metadata"]["labels"] == {RECORD_LABEL: c.NAME}
    bench.recorder = bench.process()
    await bench.keep(after=timedelta(hours=1))
    assert len(bench.records) == 1, "another process finds it"


async def test_a_verdict_that_does_not_allow_is_not_recorded() -> None:
    bench = Bench(c.verified_world())
    await bench.keep()
    assert bench.records == []


async def test_another_verdict_has_a_record_of_its_own() -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    bench.world.put("ReleaseApproval", c.approval("by-owner-too", bench.world, role="owner", username="otto@example.com", groups=["payments-ml-leads"]))
    await bench.keep()
    assert len({record["metadata"]["name"] for record in bench.records}) == 2


async def test_what_somebody_else_put_there_is_not_taken_for_the_record(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    (ours,) = bench.records
    foreign = Bench(c.approved_world())
    foreign.key = SigningKey.generate()
    foreign.client.put(EVIDENCE, ours)
    await foreign.keep()
    assert "not signed by the controller; delete it" in caplog.text
    foreign.client.objects.clear()
    foreign.client.put(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "cluster-1"}})
    await foreign.keep()
    assert len(foreign.records) == 1, "once it is deleted, it is made"


async def test_a_record_is_a_verification_summary_that_any_tool_reads() -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    statement = bench.statement()
    summary = parse_summary(statement)
    assert (summary.passed, summary.verifier, summary.levels) == (True, "https://sluice.dev/controller", frozenset({"SLUICE_MAY_SERVE"}))
    assert {subject.sha256 for subject in statement.subjects} >= {c.weights_digest(), c.SERVER}
    predicate = statement.predicate
    used = {each["digest"]["sha256"] for each in predicate["inputAttestations"]}  # type: ignore[union-attr,index,call-overload]
    assert len(used) == 4


async def test_a_record_says_everything_that_the_verdict_rests_on() -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    record, verified_at = parse_record(bench.statement())
    verdict = bench.world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert verified_at == c.NOW
    assert (record.release_digest, record.evidence_digest) == (verdict.release_digest, verdict.evidence_digest)
    assert [(each.requirement, each.outcome) for each in record.results] == [
        ("weights-signed", "Satisfied"), ("built-here", "Satisfied"), ("quality", "Satisfied"), ("approvals", "Satisfied"),
    ]  # fmt: skip
    assert {(each.kind, each.username, each.role) for each in record.decisions} == {
        ("ReleaseApproval", "olga@example.com", "owner"), ("ReleaseApproval", "sam@example.com", "security"),
    }  # fmt: skip


def recorded(world: World) -> VerdictRecord:
    verdict, release = world.verdict(c.KEY, now=c.NOW), world.releases[c.KEY]
    assert verdict is not None
    assert isinstance(release, Release)
    record = record_of(release, verdict, world.policies, cluster="cluster-1")
    assert record is not None
    return record


@pytest.mark.parametrize("field", [name for name in VerdictRecord.__slots__ if name not in {"results", "decisions", "policies"}])
def test_every_field_is_in_the_digest(field: str) -> None:
    record = recorded(c.approved_world())
    changes: Object = {field: "other"}
    assert replace(record, **changes).digest != record.digest


def test_results_decisions_and_policies_are_in_the_digest() -> None:
    record = recorded(c.approved_world())
    for changed in (replace(record, results=record.results[1:]), replace(record, decisions=record.decisions[1:]), replace(record, policies={})):
        assert changed.digest != record.digest


def test_a_policy_that_says_something_else_has_another_digest() -> None:
    before = recorded(c.approved_world())
    world = c.approved_world()
    spec = c.policy_spec()
    spec["requirements"][2]["measures"][0]["atLeast"] = "0.91"
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    assert recorded(world).policies != before.policies


@pytest.mark.parametrize(
    "change",
    [
        {"verificationResult": "FAILED"},
        {"verifier": {"id": "https://other.example.com"}},
        {EXTENSION: {}},
        {"timeVerified": "yesterday"},
    ],
)
async def test_a_summary_that_is_no_record_is_refused(change: Object) -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    statement = bench.statement()
    with pytest.raises(ProvenanceError) as refused:
        parse_record(replace(statement, predicate={**statement.predicate, **change}))
    assert refused.value.reason is Reason.PredicateMalformed


async def test_a_record_with_more_than_is_read_is_refused() -> None:
    bench = Bench(c.approved_world())
    await bench.keep()
    statement = bench.statement()
    said = statement.predicate[EXTENSION]
    assert isinstance(said, dict)
    with pytest.raises(ProvenanceError, match="says something that is not read"):
        parse_record(replace(statement, predicate={**statement.predicate, EXTENSION: {**said, "unless": "it rains"}}))


async def test_a_record_names_the_controls_that_each_requirement_helps_with() -> None:
    world, spec = c.approved_world(), c.policy_spec()
    spec["requirements"][0]["controlMappings"] = ["NIST-CSF-2.0:PR.DS-01", "CSA-MAESTRO:L1"]
    before = recorded(world)
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    bench = Bench(world)
    await bench.keep()
    record, _ = parse_record(bench.statement())
    assert [each.control_mappings for each in record.results] == [("NIST-CSF-2.0:PR.DS-01", "CSA-MAESTRO:L1"), (), (), ()]
    unmapped = replace(record, results=tuple(replace(each, control_mappings=()) for each in record.results))
    assert len({before.digest, record.digest, unmapped.digest}) == 3
    assert replace(before, policies={}).digest == replace(unmapped, policies={}).digest, "a mapping changes no verdict"


async def test_a_record_is_verified_at_a_desk_and_held_against_manifests(tmp_path: Path) -> None:
    items = manifests()
    world = World()
    for item in items:
        if item["kind"] == "ReleasePolicy":
            item["spec"]["requirements"][0]["controlMappings"] = ["NIST-CSF-2.0:ID.RA-09"]
        world.put(item["kind"], item)
    bench = Bench(world)
    await bench.keep()
    (record,) = bench.records
    folder = tmp_path / "deploy"
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.dump_all(items, Dumper=yaml.CSafeDumper))
    (tmp_path / "record.yaml").write_text(yaml.safe_dump(record))
    (tmp_path / "record.json").write_bytes(base64.b64decode(record["spec"]["bundle"]["inline"]))
    published = with_key({}, fingerprint=bench.key.fingerprint, public_pem=bench.key.public_pem)
    (tmp_path / "controller.json").write_text(published[TRUST_ROOT_ENTRY])
    trust = ("--trust-root", tmp_path / "controller.json", "-o", "json")
    for name in ("record.yaml", "record.json"):
        found = run("verify", "record", tmp_path / name, *trust, "--against", folder)
        answer = json.loads(found.stdout)
        assert (found.exit_code, answer["verified"], answer["differs"]) == (0, True, []), answer
        assert answer["release"] == f"{c.NAMESPACE}/{c.NAME}"
        assert answer["requirements"][0].startswith("Satisfied customer-facing/weights-signed (SignatureVerified) for NIST-CSF-2.0:ID.RA-09: sha256:")
    # 1. Another policy, and evidence that is gone.
    changed = [item for item in items if item["metadata"]["name"] != "evaluation"]
    for item in changed:
        if item["kind"] == "ReleasePolicy":
            item["spec"]["requirements"][0]["waivableBy"] = ["owner"]
    (folder / "all.yaml").write_text(yaml.dump_all(changed, Dumper=yaml.CSafeDumper))
    found = run("verify", "record", tmp_path / "record.yaml", *trust, "--against", folder)
    assert (found.exit_code, len(json.loads(found.stdout)["differs"])) == (1, 2)
    # 2. Another key.
    (tmp_path / "other.pub").write_text(SigningKey.generate().public_pem)
    stranger = run("verify", "record", tmp_path / "record.yaml", "--key", tmp_path / "other.pub")
    assert stranger.exit_code == 1
    # 3. No record at all.
    (tmp_path / "list.yaml").write_text(yaml.safe_dump_all([record, record]))
    assert run("verify", "record", tmp_path / "list.yaml", *trust).exit_code == 3


def test_the_trust_root_of_the_controller_is_where_the_help_says() -> None:
    told = run("verify", "record", "--help").stdout
    assert f"cm/{CONTROLLER_KEY}" in told
    assert TRUST_ROOT_ENTRY.replace(".", "\\.") in told
    assert RECORD_LABEL in told


async def test_a_record_is_neither_for_nor_against_anything() -> None:
    """A policy that asks for a summary by somebody is not met by ours, and what is missing is missing: it was not refused."""
    bench = Bench(c.approved_world())
    await bench.keep()
    (record,) = bench.records
    before = bench.world.verdict(c.KEY, now=c.NOW)
    assert bench.world.put("ReleaseEvidence", record) == frozenset()
    assert bench.world.verdict(c.KEY, now=c.NOW) == before
    spec = c.policy_spec()
    spec["requirements"].append({"name": "vsa", "type": "VerificationSummary", "artifactTypes": ["Weights"], "verifiers": ["https://v.example.com"]})
    bench.world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    after = bench.world.verdict(c.KEY, now=c.NOW)
    assert after is not None
    assert [str(result.reason) for result in after.results if result.requirement == "vsa"] == ["EvidenceMissing"]
    del record["metadata"]["labels"]
    assert c.KEY in bench.world.put("ReleaseEvidence", record)
