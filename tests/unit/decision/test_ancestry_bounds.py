"""What strangers can write is followed within bounds, and what lies beyond is a missing link."""

from __future__ import annotations

import pytest

from e2e.sigstore.statements import statement, subject
from sluice.api.release import Outcome
from sluice.decision import ancestry, kinship, origins
from sluice.decision.kinship import Kinship, gather
from sluice.decision.reasons import Reason
from sluice.decision.records import Evidence, Key
from sluice.evidence.claims import Claims
from sluice.evidence.facts import Fact
from sluice.provenance.bundle import Signer
from sluice.provenance.slsa import BuildProvenance, Dependency
from tests.unit.decision import case as c
from tests.unit.decision import test_origins as o
from tests.unit.evidence import made as documents


def made(name: str, product: str, *ingredients: str) -> Evidence:
    """Evidence that says that a product was made out of these."""
    content = BuildProvenance(builder_id="b", build_type="t", dependencies=tuple(Dependency(uri="", digests=frozenset({each})) for each in ingredients))
    fact = Fact(
        bundle_digest=c.digest_of(name), trust_root="ci", trust_root_digest="d", signer=Signer(trust_root="ci", key_fingerprint="f", key="k"), signed_at=None,
        predicate_type="p", subjects=frozenset({product}), content=content,
    )  # fmt: skip
    return Evidence(key=Key("ns", name), bundle=b"", attachments={}, claims=Claims(), by_trust={"d": fact})


def chain(length: int) -> dict[str, Evidence]:
    """Each digest was made out of the next one."""
    return {f"sha256:{n}": made(f"e{n}", f"sha256:{n}", f"sha256:{n + 1}") for n in range(length)}


def gathered(evidence: dict[str, Evidence]) -> kinship.Gathered:
    return gather(["sha256:0"], lambda digest: [evidence[digest]] if digest in evidence else [])


def test_a_lineage_is_gathered_to_its_end() -> None:
    found = gathered(chain(5))
    assert (len(found.facts), found.digests, found.whole) == (5, tuple(f"sha256:{n}" for n in range(6)), True)


def test_a_circle_is_gathered_once() -> None:
    found = gathered({"sha256:0": made("a", "sha256:0", "sha256:1"), "sha256:1": made("b", "sha256:1", "sha256:0")})
    assert (len(found.facts), found.whole) == (2, True)


def test_more_evidence_than_is_gathered_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship, "MOST_EVIDENCE", 3)
    found = gathered(chain(5))
    assert (len(found.facts), found.whole) == (3, False)


def test_more_digests_than_are_followed_are_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship, "MOST_DIGESTS", 3)
    found = gathered(chain(5))
    assert (len(found.digests), found.whole) == (3, False)


def test_the_way_down_ends_in_circles_and_gives_up_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Kinship()
    for item in [*chain(4).values(), made("back", "sha256:4", "sha256:0")]:
        known.put(item)
    everything = frozenset(f"sha256:{n}" for n in range(5))
    assert known.made_from("ns", ["sha256:2"]) == everything
    assert known.made_from("elsewhere", ["sha256:2"]) == frozenset({"sha256:2"})
    known.remove(Key("ns", "back"))
    assert known.made_from("ns", ["sha256:2"]) == everything - {"sha256:3", "sha256:4"}
    monkeypatch.setattr(kinship, "MOST_DIGESTS", 2)
    assert known.made_from("ns", ["sha256:4"]) is None


@pytest.mark.parametrize(("bound", "value"), [("MOST_GENERATIONS", 1), ("MOST_STEPS", 4)])
def test_a_walk_that_is_too_long_is_held(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    evidence, spec = [o.signed("quantized"), o.signed("dataset"), o.signed("parent")], o.release("Quantize")
    assert o.result_of(o.world(*evidence, spec=spec)).outcome is Outcome.SATISFIED
    monkeypatch.setattr(ancestry, bound, value)
    result = o.result_of(o.world(*evidence, spec=spec))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageTooLarge)


def test_a_result_rests_on_no_more_bundles_than_a_status_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_MOST_EVIDENCE", 1)
    assert o.result_of(o.world(o.signed("training"), o.signed("dataset"))).reason is Reason.LineageTooLarge


def test_of_many_statements_about_one_model_the_earliest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MOST_STATEMENTS", 1)
    poor = c.sign(o.training(c.weights_digest(), o.TRAINING[1:]))
    later = c.sign(o.training(c.weights_digest(), o.TRAINING), when=c.NOW)
    assert o.result_of(o.world(poor, o.signed("dataset"), later)).reason is Reason.LineageMissing


def test_what_was_left_out_is_told_where_a_link_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship, "MOST_EVIDENCE", 1)
    result = o.result_of(o.world(o.signed("training"), o.signed("dataset")))
    assert (result.outcome, result.message.rpartition("; ")[2]) == (Outcome.MISSING, "there is more evidence on its lineage than is looked at")


def test_a_file_of_a_described_dataset_leads_to_its_description() -> None:
    """A Croissant file lists the files of a dataset: a run may name one of these."""
    sheet = statement("http://mlcommons.org/croissant/1.0", [subject("data", c.digest_of("whole"))], documents.croissant())
    parts = [("s3://data/churn.csv", documents.FILE, "Dataset"), *o.TRAINING[1:]]
    world = o.world(c.sign(o.training(c.weights_digest(), parts)))
    assert o.result_of(world).reason is Reason.DatasetUndescribed
    assert world.put("ReleaseEvidence", c.evidence("sheet", c.sign(sheet, identity=o.STEWARD))) == {c.KEY}
    assert o.result_of(world).outcome is Outcome.SATISFIED
