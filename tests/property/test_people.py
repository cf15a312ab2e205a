"""Whatever people decide, and by whichever root of identity: what gives never takes, what takes away never gives."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Approval, Case, Waiver
from sluice.decision.people import Decision, decisions_on
from sluice.evidence.facts import Fact
from tests.unit.decision import case as c
from tests.unit.decision import signed as s
from tests.unit.decision.test_people import waiver

SLOW = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
Piece = Approval | Waiver | Fact


@cache
def pool() -> tuple[Case, list[Piece]]:
    """A release without its signature, which a waiver may cover; and all that people may say of it, for and against."""
    known = s.world()
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "signature"))
    bare = known.case(known.releases[c.KEY])  # type: ignore[arg-type]
    asked = waiver(known)
    known.put("ReleaseWaiver", asked)
    olga: dict[str, Any] = {"role": "owner", "username": "olga@example.com", "groups": ["payments-ml-leads", "appsec"]}
    sam: dict[str, Any] = {"role": "security", "username": "sam@example.com", "groups": []}
    sven: dict[str, Any] = {"role": "security", "username": "sven@example.com", "groups": ["appsec"]}
    stamped = {"olga": olga, "olga-too": olga | {"role": "security"}, "sam": sam, "sven": sven, "eve": sam | {"username": "eve@example.com"},
               "tina": sven | {"username": "tina@example.com"}}  # fmt: skip
    for name, by in stamped.items():
        known.put("ReleaseApproval", c.approval(name, known, **by))
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, role="security", username="sven@example.com"))
    known.put("ReleaseApproval", c.waiver_approval("not-of-waiver", asked, role="security", username="sven@example.com", decision="Reject"))
    known.put("ReleaseApproval", c.approval("no", known, **(sven | {"decision": "Reject"})))
    bundles = {"signed-sam": s.by_sam(known), "signed-olga": s.by_olga(known), "signed-no": s.by_sam(known, decision="Reject", expires=None)}
    digests = [s.put(known, name, bundle) for name, bundle in bundles.items()]
    named = c.waiver_approval("x", asked, role="security", username="x")["spec"]["waiver"]
    s.put(known, "signed-of-waiver", s.by_sam(known, waiver=named, evidenceDigest=None))
    for name, revokes, by in (("back-1", digests[0], sven), ("back-2", "uid-ReleaseApproval-payments-sam", sven), ("back-3", digests[1], olga),
                              ("back-4", "uid-ReleaseApproval-payments-of-waiver", sven), ("back-5", "uid-ReleaseApproval-payments-olga", sam)):  # fmt: skip
        item = c.approval(name, known, **(by | {"decision": "Revoke", "revokes": revokes}))
        del item["spec"]["evidenceDigest"]
        known.put("ReleaseApproval", item)
    case = known.case(known.releases[c.KEY])  # type: ignore[arg-type]
    facts = [fact for fact in case.facts if fact not in bare.facts]
    return bare, [*case.approvals, *case.waivers, *facts]


def with_pieces(pieces: list[Piece]) -> Case:
    bare, _ = pool()
    return replace(
        bare,
        approvals=tuple(each for each in pieces if isinstance(each, Approval)),
        waivers=tuple(each for each in pieces if isinstance(each, Waiver)),
        facts=(*(each for each in pieces if isinstance(each, Fact)), *bare.facts),
    )


def gives(case: Case, piece: Piece) -> bool:
    """Whether it is an approval or a waiver: the others take away."""
    if isinstance(piece, Waiver):
        return True
    (decision,) = _decisions(replace(case, approvals=(piece,) if isinstance(piece, Approval) else (), facts=(piece,) if isinstance(piece, Fact) else ()))
    return decision.gives


def _decisions(case: Case) -> list[Decision]:
    return decisions_on(case, case)


@st.composite
def sets(draw: st.DrawFn) -> list[Piece]:
    """Some of the pool, in any order; half of the time with nothing against the release, or hardly any would serve."""
    _, pieces = pool()
    chosen = draw(st.permutations(pieces))[: draw(st.integers(0, len(pieces)))]
    return [piece for piece in chosen if gives(pool()[0], piece)] if draw(st.booleans()) else chosen


def serves(pieces: list[Piece]) -> bool:
    return decide(with_pieces(pieces), now=c.NOW).allows is Allowance.SERVE


def test_the_pool_may_serve_and_every_piece_against_it_is_read() -> None:
    _, pieces = pool()
    good = [piece for piece in pieces if gives(pool()[0], piece)]
    assert serves(good)
    against = [piece for piece in pieces if piece not in good]
    assert len(against) == 8
    assert not serves(pieces)


@SLOW
@given(sets(), st.data())
def test_what_gives_never_takes_and_what_takes_away_never_gives(pieces: list[Piece], data: st.DataObject) -> None:
    bare, every = pool()
    more = data.draw(st.sampled_from([piece for piece in every if piece not in pieces] or [every[0]]))
    before, after = serves(pieces), serves([*pieces, more])
    if gives(bare, more):
        assert after or not before
    else:
        assert before or not after


@SLOW
@given(sets(), st.randoms(use_true_random=False))
def test_the_order_of_decisions_never_matters(pieces: list[Piece], random: Any) -> None:  # noqa: ANN401 - hypothesis' own type
    turned = list(pieces)
    random.shuffle(turned)
    assert decide(with_pieces(turned), now=c.NOW) == decide(with_pieces(pieces), now=c.NOW)
