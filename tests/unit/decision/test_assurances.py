"""Requirements that people vouch for: named by the release, signed by somebody who may, about just this release, positive, and still true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from e2e.sigstore.statements import statement, subject
from sluice.api.release import Outcome
from sluice.decision.model import Allowance, Release, Result, Verdict
from sluice.decision.reasons import Reason
from sluice.evidence.assurance import CHANGE_TICKET, IMPACT_ASSESSMENT, VENDOR_ASSURANCE
from tests.unit.decision import case as c

Object = dict[str, Any]
OFFICE = "https://git.example.com/office/.ci/sign.yml@refs/heads/main"
TICKET, DOCUMENT, REPORT = "https://changes.example.com/CHG-1234", c.digest_of("impact assessment"), c.digest_of("vendor report")
REQUIREMENTS: list[Object] = [
    {"name": "ticket", "type": "ChangeTicket", "maxAge": "14d"},
    {"name": "impact", "type": "ImpactAssessment", "maxAge": "90d"},
    {"name": "vendor", "type": "VendorAssurance"},
]
TYPES = {"ticket": CHANGE_TICKET, "impact": IMPACT_ASSESSMENT, "vendor": VENDOR_ASSURANCE}
NAMES = list(TYPES)
each = pytest.mark.parametrize("name", NAMES)


def at(**before: float) -> str:
    return (c.NOW - timedelta(**before)).strftime("%Y-%m-%dT%H:%M:%SZ")


def predicate(name: str, **changes: Any) -> Object:  # noqa: ANN401 - members of the predicate
    found: dict[str, Object] = {
        "ticket": {"ticket": TICKET, "state": "Approved", "decidedBy": "CAB of 19 November", "decidedAt": at(days=1)},
        "impact": {"document": {"digest": {"sha256": DOCUMENT[7:]}}, "outcome": "Acceptable", "assessedBy": "R. Isk", "assessedAt": at(days=1)},
        "vendor": {"vendor": "Acme AI", "model": "acme-large", "validFrom": at(days=30), "validUntil": at(days=-30)},
    }
    return found[name] | changes


def spec(**changes: Any) -> Object:  # noqa: ANN401 - fields of the spec
    """A release that names all three."""
    return c.release_spec() | {
        "change": {"type": "Vendor", "ticket": TICKET, "impact": {"assessment": {"digest": DOCUMENT}, "summary": "none"}},
        "vendor": {"name": "Acme AI", "model": "acme-large", "version": "2026-10", "assurance": {"digest": REPORT}},
    } | changes  # fmt: skip


def policy() -> Object:
    rules = c.policy_spec()
    may = [requirement["type"] for requirement in REQUIREMENTS]
    rules["signers"].append({"name": "office", "trustRoot": "ci", "issuer": c.ISSUER, "identity": OFFICE, "may": may})
    return c.item("ReleasePolicy", "customer-facing", rules | {"requirements": REQUIREMENTS}, namespace="")


def world(*names: str, **changes: Any) -> c.World:  # noqa: ANN401 - fields of the release
    """A release that names all three, and statements about these."""
    known = c.World()
    known.put("Namespace", c.namespace())
    known.put("TrustRoot", c.trust_root())
    known.put("ReleasePolicy", policy())
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, spec(**changes)))
    for name in names:
        put(known, name)
    return known


def digest(known: c.World) -> str:
    release = known.releases[c.KEY]
    assert isinstance(release, Release)
    return release.digest


def put(known: c.World, name: str, *, about: str | None = None, identity: str = OFFICE, named: str = "", **changes: Any) -> frozenset[c.Key]:  # noqa: ANN401
    subjects = [subject("it", about or (REPORT if name == "vendor" else digest(known)))]
    bundle = c.sign(statement(TYPES[name], subjects, predicate(name, **changes)), identity=identity)
    return known.put("ReleaseEvidence", c.evidence(named or name, bundle))


def verdict_of(known: c.World, now: datetime = c.NOW) -> Verdict:
    verdict = known.verdict(c.KEY, now=now)
    assert verdict is not None
    return verdict


def result_of(known: c.World, name: str, now: datetime = c.NOW) -> Result:
    return next(result for result in verdict_of(known, now).results if result.requirement == name)


def test_with_all_three_signed_the_release_may_serve_and_says_who_decided() -> None:
    known = world(*NAMES)
    verdict = verdict_of(known)
    assert verdict.allows is Allowance.SERVE
    words = [f"ticket {TICKET} was approved by CAB of 19 November; signed by {OFFICE}", f"assessment {DOCUMENT} by R. Isk found the impact acceptable",
             "assurance of acme-large by Acme AI; signed by"]  # fmt: skip
    for result, expected in zip(verdict.results, words, strict=True):
        assert (result.outcome, result.reason, len(result.evidence)) == (Outcome.SATISFIED, Reason.AssuranceVerified, 1)
        assert result.message.startswith(expected)


@each
def test_people_sign_off_what_was_vouched_for(name: str) -> None:
    known = world(*(other for other in NAMES if other != name))
    before = verdict_of(known).evidence_digest
    assert c.KEY in put(known, name)
    assert verdict_of(known).evidence_digest != before


@each
def test_a_field_alone_is_the_word_of_those_who_want_the_release(name: str) -> None:
    known = world(*(other for other in NAMES if other != name))
    result = result_of(known, name)
    assert (result.outcome, result.reason, verdict_of(known).allows) == (Outcome.MISSING, Reason.EvidenceMissing, Allowance.NOTHING)
    assert "signed by office" in (result.remedy or "")
    assert "(sluice sign statement --predicate-type https://sluice.dev/" in (result.remedy or "")
    assert (REPORT if name == "vendor" else digest(known)) in (result.remedy or "")


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("ticket", {"change": {"type": "Vendor"}}, "spec.change.ticket"),
        ("impact", {"change": {"type": "Vendor", "ticket": TICKET}}, "spec.change.impact.assessment"),
        ("impact", {"change": {"type": "Vendor", "ticket": TICKET, "impact": {"summary": "none"}}}, "spec.change.impact.assessment"),
        ("vendor", {"vendor": None}, "spec.vendor"),
        ("vendor", {"vendor": {"name": "Acme AI", "model": "acme-large"}}, "spec.vendor.assurance"),
    ],
)
def test_what_the_release_does_not_name_cannot_be_vouched_for(name: str, changes: Object, field: str) -> None:
    known = world(*NAMES, **changes)
    result = result_of(known, name)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.AssuranceNotNamed)
    assert (result.message, result.remedy) == (f"the release names none: it has no {field}", f"apply a new ModelRelease with {field}")


@each
def test_who_may_not_vouch_for_it_does_not_count(name: str) -> None:
    known = world(*(other for other in NAMES if other != name))
    put(known, name, identity=c.TRAINER)
    assert (result_of(known, name).outcome, result_of(known, name).reason) == (Outcome.FAILED, Reason.SignerNotPermitted)
    put(known, name, named="by-the-office")
    assert result_of(known, name).outcome is Outcome.SATISFIED


@pytest.mark.parametrize(("name", "changes"), [("ticket", {"state": "Rejected"}), ("impact", {"outcome": "NotAcceptable"}), ("vendor", {"model": "other"})])
def test_a_yes_of_who_may_not_does_not_outdo_a_no_of_who_may(name: str, changes: Object) -> None:
    known = world(*(other for other in NAMES if other != name))
    put(known, name, identity=c.TRAINER)
    put(known, name, named="by-the-office", **changes)
    assert result_of(known, name).outcome is Outcome.FAILED


@each
def test_a_statement_about_another_subject_changes_nothing(name: str) -> None:
    known = world()
    before = verdict_of(known)
    put(known, name, about=c.digest_of("another release"))
    put(known, name, about=c.weights_digest() if name != "vendor" else digest(known), named="about-the-wrong-thing")
    assert verdict_of(known).results == before.results


@each
def test_a_ticket_dies_with_the_release_that_it_was_for(name: str) -> None:
    known = world(*NAMES)
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, spec(authority={"serviceAccount": "other"})))
    # What vouches for a vendor is about the model, in whatever release.
    assert result_of(known, name).outcome is (Outcome.SATISFIED if name == "vendor" else Outcome.MISSING)


@pytest.mark.parametrize(
    ("name", "changes", "reason", "words"),
    [
        ("ticket", {"ticket": "https://changes.example.com/CHG-1"}, Reason.AssuranceDiffers, "CHG-1; the release names https://changes.example.com/CHG-1234"),
        ("ticket", {"state": "Rejected"}, Reason.AssuranceNegative, "was rejected by CAB of 19 November"),
        ("impact", {"document": {"digest": {"sha256": "0" * 64}}}, Reason.AssuranceDiffers, f"the release names {DOCUMENT}"),
        ("impact", {"outcome": "NotAcceptable"}, Reason.AssuranceNegative, "found the impact not acceptable"),
        ("vendor", {"vendor": "Acme"}, Reason.AssuranceDiffers, "acme-large by Acme; the release names acme-large by Acme AI, version 2026-10"),
        ("vendor", {"model": "acme-small"}, Reason.AssuranceDiffers, "acme-small by Acme AI"),
        ("vendor", {"version": "2026-09"}, Reason.AssuranceDiffers, "version 2026-09"),
    ],
)
def test_what_was_signed_about_another_one_or_with_a_no_fails_and_is_named(name: str, changes: Object, reason: Reason, words: str) -> None:
    known = world(*(other for other in NAMES if other != name))
    put(known, name, **changes)
    result = result_of(known, name)
    assert (result.outcome, result.reason) == (Outcome.FAILED, reason)
    assert words in result.message
    # Who was told no signs no other statement of the same.
    assert ("apply a new ModelRelease" in (result.remedy or "")) is (reason is Reason.AssuranceNegative)
    # It stands in nobody's way: one that is right suffices.
    put(known, name, named="right")
    assert result_of(known, name).outcome is Outcome.SATISFIED


def test_an_assurance_of_the_very_version_counts() -> None:
    known = world("ticket", "impact")
    put(known, "vendor", version="2026-10")
    assert "version 2026-10" in result_of(known, "vendor").message
    assert verdict_of(known).allows is Allowance.SERVE


@pytest.mark.parametrize(("name", "ends"), [("ticket", timedelta(days=13)), ("impact", timedelta(days=89)), ("vendor", timedelta(days=30))])
def test_what_was_decided_too_long_ago_is_decided_again(name: str, ends: timedelta) -> None:
    known = world(*NAMES)
    assert result_of(known, name, c.NOW + ends - timedelta(seconds=1)).outcome is Outcome.SATISFIED
    late = result_of(known, name, c.NOW + ends)
    assert (late.outcome, late.reason) == (Outcome.EXPIRED, Reason.EvidenceExpired)
    assert "have office decide and sign again" in (late.remedy or "")
    assert verdict_of(known).changes_at == c.NOW + timedelta(days=13)


TIMES: list[tuple[str, Callable[[str], Object]]] = [
    ("ticket", lambda time: {"decidedAt": time}), ("impact", lambda time: {"assessedAt": time}), ("vendor", lambda time: {"validFrom": time}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes"), TIMES, ids=NAMES)
def test_what_claims_to_come_from_the_future_waits_until_then(name: str, changes: Callable[[str], Object]) -> None:
    known = world(*(other for other in NAMES if other != name))
    put(known, name, **changes(at(minutes=-9)))
    assert result_of(known, name).outcome is Outcome.SATISFIED
    known = world(*(other for other in NAMES if other != name))
    put(known, name, **changes(at(hours=-2)))
    result = result_of(known, name)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.AssuranceNotYet)
    changes_at = verdict_of(known).changes_at
    assert changes_at == c.NOW + timedelta(hours=2) - timedelta(minutes=10)
    assert result_of(known, name, changes_at).outcome is Outcome.SATISFIED


def test_what_a_revoked_office_said_counts_no_more() -> None:
    known = world(*NAMES)
    root = c.trust_root()
    root["spec"]["revoked"] = [{"type": "Identity", "identity": OFFICE, "issuer": c.ISSUER, "reason": "left"}]
    known.put("TrustRoot", root)
    assert {result.reason for result in verdict_of(known).results} == {Reason.SignerRevoked}
