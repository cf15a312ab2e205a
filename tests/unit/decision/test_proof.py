"""A promotion counts with the controller's signature over exactly it; what takes away counts without."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from sluice.api.release import Phase
from sluice.decision.model import Allowance, Verdict
from sluice.decision.reasons import Reason
from sluice.evidence.canary_record import read_record
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.signing import SigningKey
from sluice.provenance.trust import TrustAnchors
from tests.unit.decision import case as c

Object = dict[str, Any]
RUN = f"{c.NAME}-1"


def verdict_with(run: Object, keys: TrustAnchors | None = None) -> Verdict:
    world = c.canary_world()
    world.trust_controller(keys or c.controller_keys())
    world.put("CanaryRun", run)
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def changed(change: Callable[[Object], None], decision: str = "Promote") -> Object:
    run = deepcopy(c.run(RUN, decision=decision))
    change(run)
    return run


def test_a_signed_promotion_counts() -> None:
    assert verdict_with(c.run(RUN, decision="Promote")).phase is Phase.SERVING


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run["status"].pop("record"),
        lambda run: run["status"].update(record=""),
        lambda run: run["status"].update(record="{}"),
        lambda run: run["status"].update(record=run["status"]["record"].replace('"sig":"', '"sig":"AAAA')),
        lambda run: run["metadata"].update(uid="another"),
        lambda run: run["metadata"].update(name=f"{RUN}-copy"),
        lambda run: run["spec"].update(margin="0.01"),
        lambda run: run["spec"].update(seed=2),
        lambda run: run["spec"]["workload"].update(name="other"),
        lambda run: run["status"].update(record=c.run(RUN, decision="RollBack")["status"]["record"]),
        lambda run: run["status"].update(record=c.run(RUN, decision="Inconclusive")["status"]["record"]),
    ],
    ids=["none", "empty", "no-bundle", "signature", "uid", "name", "margin", "seed", "workload", "of-a-roll-back", "of-an-inconclusive"],
)
def test_a_promotion_whose_record_is_about_anything_else_is_undecided(change: Callable[[Object], None]) -> None:
    verdict = verdict_with(changed(change))
    assert verdict.allows is not Allowance.SERVE
    assert {result.reason for result in verdict.open} <= {Reason.CanaryUnproven, Reason.CanaryNotRun}


def test_a_promotion_without_a_record_says_so_and_lets_nothing_in() -> None:
    verdict = verdict_with(changed(lambda run: run["status"].pop("record")))
    (open_,) = verdict.open
    assert (open_.reason, open_.run, verdict.allows) == (Reason.CanaryUnproven, RUN, Allowance.NOTHING)
    assert "no record that the controller signed" in open_.message


def test_another_key_promotes_nothing_and_no_key_neither() -> None:
    stranger = TrustAnchors.keys("controller", {"controller": SigningKey.generate().public_pem})
    assert verdict_with(c.run(RUN, decision="Promote"), stranger).open[0].reason is Reason.CanaryUnproven
    world = c.canary_world()
    world.put("CanaryRun", c.run(RUN, decision="Promote"))
    for keys, phase in ((None, Phase.CANARY), (c.controller_keys(), Phase.SERVING), (stranger, Phase.CANARY)):
        assert c.KEY in world.trust_controller(keys)
        verdict = world.verdict(c.KEY, now=c.NOW)
        assert verdict is not None
        assert verdict.phase is phase


@pytest.mark.parametrize(("decision", "reason"), [("RollBack", Reason.CanaryRolledBack), ("Inconclusive", Reason.CanaryInconclusive)])
def test_what_takes_away_needs_no_signature(decision: str, reason: Reason) -> None:
    verdict = verdict_with(changed(lambda run: run["status"].pop("record"), decision))
    assert verdict.open[0].reason is reason


def test_a_record_is_read_by_whoever_has_the_key() -> None:
    run = c.run(RUN, decision="Promote")
    record = read_record(run["status"]["record"].encode(), c.controller_keys())
    assert (record.name, record.uid, record.decision, record.spec.seed) == (RUN, run["metadata"]["uid"], "Promote", 1)
    drill = c.controller_key().sign(predicate_type="https://sluice.dev/rollback-drill/v1", subjects={"a": "sha256:" + "a" * 64}, predicate={})
    with pytest.raises(ProvenanceError, match="rollback-drill"):
        read_record(drill, c.controller_keys())
