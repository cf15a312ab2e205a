"""Approvals, rejections and revocations that are signed and kept in Git: who is behind a signature, and what it may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.api.approval import ApprovalSpec
from sluice.api.base import Identity
from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Policy
from sluice.decision.persons import Persons
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision import signed as s
from tests.unit.decision.test_decide import result_of, verdict_of

Object = dict[str, Any]
STAMPED_OLGA: Object = {"role": "owner", "username": "olga@example.com", "groups": ["payments-ml-leads"]}
STAMPED_SAM: Object = {"role": "security", "username": "sam@example.com", "groups": []}


def reason_of(known: c.World, name: str) -> Reason:
    return next(finding.reason for finding in verdict_of(known).approvals if finding.name == name)


def test_who_signed_approves_whoever_applied_it() -> None:
    known = s.world()
    s.put(known, "by-olga", s.by_olga(known))
    assert verdict_of(known).allows is Allowance.NOTHING
    s.put(known, "by-sam", s.by_sam(known, comment="Red-team run 118 reviewed"))
    verdict = verdict_of(known)
    assert verdict.allows is Allowance.SERVE
    message = result_of(verdict, "approvals").message
    assert "owner (olga@example.com (key olga of TrustRoot people))" in message
    assert "security (sam@example.com)" in message
    assert "Red-team run 118 reviewed" in " ".join(finding.message for finding in verdict.approvals)
    assert verdict.evidence_digest == verdict_of(s.world()).evidence_digest, "a sign-off is not part of what is signed off"


def test_both_roots_add_up() -> None:
    known = s.world()
    s.put(known, "by-sam", s.by_sam(known))
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    assert verdict_of(known).allows is Allowance.SERVE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"evidenceDigest": c.digest_of("other")}, Reason.EvidenceChanged),
        ({"expires": "2026-11-20T11:59:59Z"}, Reason.Expired),
        ({"decidedAt": "2026-11-20T12:11:00Z"}, Reason.ApprovalNotYet),
        ({"role": "owner"}, Reason.RoleNotGranted),
        ({"role": "legal"}, Reason.RoleNotGranted),
    ],
)
def test_a_signed_approval_that_must_not_count_does_not_and_says_why(changes: Object, reason: Reason) -> None:
    known = s.world()
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    bundle = s.put(known, "by-sam", s.by_sam(known, **changes))
    assert (reason_of(known, bundle), verdict_of(known).allows) == (reason, Allowance.NOTHING)


def test_an_approval_from_tomorrow_counts_when_it_has_come_and_ends_at_its_second() -> None:
    known = s.world()
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    s.put(known, "by-sam", s.by_sam(known, decidedAt="2026-11-21T12:00:00Z", expires="2026-11-23T12:00:00Z"))
    case = known.case(known.releases[c.KEY])  # type: ignore[arg-type]
    allowed = [decide(case, now=c.NOW + timedelta(seconds=at)).allows for at in (86_399 - 600, 86_400, 3 * 86_400 - 1, 3 * 86_400)]
    assert allowed == [Allowance.NOTHING, Allowance.SERVE, Allowance.SERVE, Allowance.NOTHING]


def test_a_decision_about_another_release_is_about_nothing_here() -> None:
    known = s.world()
    elsewhere = s.statement(known, "security")
    elsewhere["subject"][0]["name"] = "churn-2-2-0"
    elsewhere["subject"][0]["digest"]["sha256"] = "a" * 64
    known.put("ReleaseEvidence", c.evidence("by-sam", c.sign(elsewhere, identity="sam@example.com", issuer=s.PEOPLE)))
    assert verdict_of(known).approvals == ()


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ([s.SAM_SIGNS | {"identity": "sam@elsewhere.example"}, s.OLGA_SIGNS], Reason.RoleNotGranted),
        ([s.SAM_SIGNS | {"issuer": "https://other.example.com"}, s.OLGA_SIGNS], Reason.RoleNotGranted),
        ([s.SAM_SIGNS | {"may": ["Dataset"]}, s.OLGA_SIGNS], Reason.RoleNotGranted),
        ([s.SAM_SIGNS | {"operatedBy": {"users": ["sam@example.com", "sue@example.com"]}}, s.OLGA_SIGNS], Reason.NotOnePerson),
        ([s.SAM_SIGNS | {"operatedBy": {"users": ["sam@example.com"], "groups": ["appsec"]}}, s.OLGA_SIGNS], Reason.NotOnePerson),
        ([s.SAM_SIGNS, s.SAM_SIGNS | {"name": "ci", "may": ["Dataset"], "operatedBy": {"groups": ["everybody"]}}, s.OLGA_SIGNS], Reason.NotOnePerson),
        ([s.SAM_SIGNS | {"operatedBy": {"users": ["tina@example.com"]}}, s.OLGA_SIGNS], Reason.SeparationOfDuties),
        ([s.SAM_SIGNS, s.OLGA_SIGNS], Reason.Counted),
    ],
    ids=["identity", "issuer", "may", "two-users", "a-group", "elsewhere-a-group", "trainer", "sam"],
)
def test_only_one_person_whom_policy_lets_sign_approvals_holds_a_role(signers: list[Object], reason: Reason) -> None:
    known = s.world(*signers)
    assert reason_of(known, s.put(known, "by-sam", s.by_sam(known))) is reason


def test_what_was_signed_of_the_release_before_it_changed_is_shown_with_who_signed_it_when() -> None:
    known = s.world()
    bundle = s.by_sam(known)
    old = verdict_of(known).release_digest
    known.remove("ModelRelease", c.KEY)
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"stages": ["production", "staging"]}))
    name = s.put(known, "by-sam", bundle)
    (finding,) = verdict_of(known).approvals
    assert (finding.reason, finding.counts) == (Reason.ReleaseChanged, False)
    message = result_of(verdict_of(known), "approvals").message
    assert (
        f"{name} by sam@example.com as security (2026-11-20T11:00:00Z) does not count: the release has changed since: it names release digest {old}" in message
    )


def test_a_release_is_looked_at_again_when_what_was_signed_of_it_before_comes_or_goes() -> None:
    known = s.world()
    bundle = s.by_sam(known)
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"stages": ["production", "staging"]}))
    assert known.put("ReleaseEvidence", c.evidence("by-sam", bundle)) == {c.KEY}
    assert known.remove("TrustRoot", c.Key("", "ci")) >= {c.KEY}
    assert verdict_of(known).approvals == ()
    assert known.put("TrustRoot", c.trust_root()) >= {c.KEY}
    assert known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "by-sam")) == {c.KEY}
    assert verdict_of(known).approvals == ()


def test_a_rejection_of_what_the_release_was_rejects_nothing_more() -> None:
    known = s.world()
    bundle = s.by_sam(known, decision="Reject", expires=None)
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"stages": ["production", "staging"]}))
    s.put(known, "by-sam", bundle)
    assert not verdict_of(known).rejected


@pytest.mark.parametrize(
    ("signer", "also"),
    [(s.OLGA_SIGNS, ""), (s.OLGA_SIGNS | {"may": ["Dataset"]}, ", and Approval to spec.signers[olga-signs].may")],
    ids=["may", "may-not"],
)
def test_who_holds_a_role_as_a_user_and_signs_is_told_how_policy_grants_it_to_what_they_sign(signer: Object, also: str) -> None:
    policy = s.policy(s.SAM_SIGNS, signer)
    policy["spec"]["roles"][0]["subjects"] = [{"kind": "User", "name": "olga@example.com"}]
    known = s.world()
    known.put("ReleasePolicy", policy)
    s.put(known, "by-olga", s.by_olga(known))
    (finding,) = verdict_of(known).approvals
    assert finding.reason is Reason.RoleNotGranted
    to_do = f"add {{kind: Signer, name: olga-signs}} to spec.roles[owner].subjects{also} of policy customer-facing, which names olga@example.com as a User only"
    assert finding.remedy == to_do
    assert to_do in (result_of(verdict_of(known), "approvals").remedy or "")
    policy["spec"]["roles"][0]["subjects"].append({"kind": "Signer", "name": "olga-signs"})
    policy["spec"]["signers"][-1]["may"] = ["Approval"]
    known.put("ReleasePolicy", policy)
    assert reason_of(known, finding.name) is Reason.Counted, "the remedy is one"


def test_nobody_is_told_how_to_be_granted_a_role_that_they_do_not_hold() -> None:
    known = s.world()
    s.put(known, "by-sam", s.by_sam(known, role="owner"))
    (finding,) = verdict_of(known).approvals
    assert (finding.reason, finding.remedy) == (Reason.RoleNotGranted, "")


@pytest.mark.parametrize("identity", [c.TRAINER, c.EVALUATOR])
def test_who_signed_the_weights_or_the_evaluation_signs_no_approval_of_them(identity: str) -> None:
    pipeline = {"name": "sam-signs", "trustRoot": "ci", "issuer": c.ISSUER, "identity": identity, "may": ["Approval"]}
    known = s.world(pipeline, s.OLGA_SIGNS)
    bundle = s.put(known, "by-ci", c.sign(s.statement(known, "security"), identity=identity))
    assert reason_of(known, bundle) is Reason.SeparationOfDuties


def test_operators_that_are_named_by_group_may_be_anybody_who_signs() -> None:
    known = s.world()
    bundle = s.put(known, "by-sam", s.by_sam(known))
    assert reason_of(known, bundle) is Reason.Counted
    policy = s.policy()
    policy["spec"]["signers"][0]["operatedBy"] = {"groups": ["train-admins"]}
    known.put("ReleasePolicy", policy)
    (finding,) = verdict_of(known).approvals
    assert (finding.reason, "may be in train-admins" in finding.message) == (Reason.SeparationOfDuties, True)


def test_a_person_counts_once_whichever_way_they_decide() -> None:
    for username in ("sam@example.com", "oidc:sam@example.com", "https://accounts.example.com#Sam@example.com"):
        known = s.world()
        s.put(known, "by-sam", s.by_sam(known))
        known.put("ReleaseApproval", c.approval("as-owner", known, role="owner", username=username, groups=["payments-ml-leads"]))
        assert result_of(verdict_of(known), "approvals").message.startswith("1 of 2"), username
    known = s.world()
    s.put(known, "by-olga", s.by_olga(known))
    known.put("ReleaseApproval", c.approval("as-security", known, role="security", username="olga@example.com", groups=["appsec"]))
    assert result_of(verdict_of(known), "approvals").message.startswith("1 of 2")


def test_one_bundle_is_one_person_however_many_trust_roots_hold_its_key() -> None:
    twin = s.OLGA_SIGNS | {"name": "sam-signs", "trustRoot": "people-too"}
    known = s.world(twin, s.OLGA_SIGNS)
    known.put("TrustRoot", c.item("TrustRoot", "people-too", s.trust_root()["spec"], namespace=""))
    s.put(known, "as-owner", s.by_olga(known))
    s.put(known, "as-security", s.by_olga(known, "security"))
    assert {finding.reason for finding in verdict_of(known).approvals} == {Reason.Counted}
    assert result_of(verdict_of(known), "approvals").message.startswith("1 of 2")


def test_names_that_policy_ties_together_are_one_person_and_others_are_not() -> None:
    adm = s.SAM_SIGNS | {"operatedBy": {"users": ["sam-adm"]}}
    policy = s.world(adm, s.OLGA_SIGNS).policies["customer-facing"]
    assert isinstance(policy, Policy)
    persons = Persons([policy])
    who = [persons.who(Identity(username=name)) for name in ("sam-adm", "sam@example.com", "oidc:sam@example.com", "olga@example.com", "eve", "EVE")]
    assert who == ["sam-adm", "sam-adm", "sam-adm", "olga@example.com", "eve", "EVE"]


def test_a_signed_rejection_stops_an_approved_release_and_a_revoked_key_lets_nothing_in() -> None:
    known = s.world()
    s.put(known, "by-sam", s.by_sam(known))
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    assert verdict_of(known).allows is Allowance.SERVE
    s.put(known, "no", s.by_olga(known, decision="Reject", expires=None))
    assert (verdict_of(known).rejected, verdict_of(known).allows) == (True, Allowance.NOTHING)
    known.put("TrustRoot", s.trust_root({"type": "Key", "key": "olga", "reason": "stolen"}))
    assert verdict_of(known).rejected
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "no"))
    assert verdict_of(known).allows is Allowance.SERVE


def test_what_a_revoked_signer_approved_counts_no_more_and_says_so() -> None:
    known = s.world()
    bundle = s.put(known, "by-olga", s.by_olga(known))
    s.put(known, "by-sam", s.by_sam(known))
    known.put("TrustRoot", s.trust_root({"type": "Key", "key": "olga", "reason": "stolen"}))
    assert (reason_of(known, bundle), verdict_of(known).allows) == (Reason.SignerRevoked, Allowance.NOTHING)


def test_what_nobody_has_verified_yet_may_be_a_rejection_and_is_waited_for() -> None:
    known = s.world()
    s.put(known, "by-sam", s.by_sam(known))
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    late = c.World(defers=True)
    items = [c.namespace(), c.trust_root(), s.trust_root(), s.policy(), c.item("ModelRelease", c.NAME, c.release_spec())]
    items += [c.evidence(name, bundle, {"results.json": c.raw_results()} if name == "evaluation" else None) for name, bundle in c.bundles().items()]
    items += [c.evidence("by-sam", s.by_sam(known)), c.approval("by-owner", known, **STAMPED_OLGA)]
    for item in items:
        late.put(item["kind"], item)
    late.established([(check, check.verify()) for check in list(late.wanted.values())])
    assert verdict_of(late).allows is Allowance.SERVE
    late.put("ReleaseEvidence", c.evidence("no", s.by_olga(known, decision="Reject")))
    verdict = verdict_of(late)
    assert (verdict.allows, verdict.unverified, verdict.hopeless) == (Allowance.NOTHING, True, False)
    assert "ReleaseEvidence no with decisions of people is being verified" in result_of(verdict, "decisions").message
    late.established([(check, check.verify()) for check in list(late.wanted.values())])
    assert verdict_of(late).rejected


# Taking back.


def revocation(known: c.World, revokes: str, **spec: Any) -> Object:  # noqa: ANN401 - fields of the spec
    by = {"role": "security", "username": "sam@example.com", "groups": []} | spec
    item = c.approval("taken-back", known, decision="Revoke", revokes=revokes, **by)
    del item["spec"]["evidenceDigest"]
    ApprovalSpec.model_validate(item["spec"])
    return item


def approved() -> c.World:
    known = s.world()
    for name, by in (("by-owner", STAMPED_OLGA), ("by-security", STAMPED_SAM)):
        known.put("ReleaseApproval", c.approval(name, known, **by))
    return known


def uid(name: str) -> str:
    return f"uid-ReleaseApproval-{c.NAMESPACE}-{name}"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, Reason.Counted),
        ({"role": "owner"}, Reason.Counted),
        ({"username": "sven@example.com", "groups": ["appsec"]}, Reason.Counted),
        ({"username": "sven@example.com", "groups": ["appsec"], "role": "owner"}, Reason.RoleNotGranted),
        ({"username": "olga@example.com", "groups": ["payments-ml-leads"], "role": "owner"}, Reason.RoleNotGranted),
        ({"username": "eve@example.com"}, Reason.RoleNotGranted),
        ({"approver": None}, Reason.NotStamped),
        ({"releaseDigest": c.digest_of("another release")}, Reason.ReleaseChanged),
        ({"revokes": "uid-of-another"}, Reason.NothingToRevoke),
    ],
)
def test_an_approval_is_taken_back_by_who_gave_it_or_holds_its_role(spec: Object, reason: Reason) -> None:
    known = approved()
    assert verdict_of(known).allows is Allowance.SERVE
    known.put("ReleaseApproval", revocation(known, **({"revokes": uid("by-security")} | spec)))
    assert reason_of(known, "taken-back") is reason
    counts = reason is Reason.Counted
    assert verdict_of(known).allows is (Allowance.NOTHING if counts else Allowance.SERVE)
    assert reason_of(known, "by-security") is (Reason.ApprovalRevoked if counts else Reason.Counted)


def test_a_revocation_says_who_and_why_and_whoever_still_approves_does_so_anew() -> None:
    known = approved()
    known.put("ReleaseApproval", revocation(known, uid("by-security"), comment="the red team was wrong"))
    message = next(finding.message for finding in verdict_of(known).approvals if finding.name == "by-security")
    assert message == "sam@example.com took it back (taken-back): the red team was wrong"
    known.put("ReleaseApproval", c.approval("again", known, **STAMPED_SAM))
    assert verdict_of(known).allows is Allowance.SERVE


def test_a_revocation_ends_by_no_new_evidence_and_takes_back_no_rejection() -> None:
    known = approved()
    known.put("ReleaseApproval", c.approval("no", known, **(STAMPED_SAM | {"decision": "Reject"})))
    known.put("ReleaseApproval", revocation(known, uid("no")))
    assert (verdict_of(known).rejected, reason_of(known, "taken-back")) == (True, Reason.NothingToRevoke)


def test_what_was_signed_stays_taken_back_when_it_is_applied_again() -> None:
    known = s.world()
    known.put("ReleaseApproval", c.approval("by-owner", known, **STAMPED_OLGA))
    signed = s.by_sam(known)
    bundle = s.put(known, "by-sam", signed)
    assert verdict_of(known).allows is Allowance.SERVE
    known.put("ReleaseApproval", revocation(known, bundle, username="sven@example.com", groups=["appsec"]))
    assert (reason_of(known, bundle), verdict_of(known).allows) == (Reason.ApprovalRevoked, Allowance.NOTHING)
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "by-sam"))
    s.put(known, "by-another-name", signed)
    assert verdict_of(known).allows is Allowance.NOTHING
    s.put(known, "anew", s.by_sam(known, decidedAt="2026-11-20T11:30:00Z"))
    assert verdict_of(known).allows is Allowance.SERVE


def test_a_revocation_is_signed_too_and_takes_back_what_was_stamped() -> None:
    known = approved()
    s.put(known, "taken-back", s.by_sam(known, decision="Revoke", revokes=uid("by-security"), evidenceDigest=None, expires=None))
    assert (reason_of(known, "by-security"), verdict_of(known).allows) == (Reason.ApprovalRevoked, Allowance.NOTHING)


def test_the_status_of_a_decision_knows_what_takes_it_back() -> None:
    known = approved()
    release = known.releases[c.KEY]
    known.put("ReleaseApproval", revocation(known, uid("by-security")))
    found = {key.name: known.finding(item, release, now=c.NOW) for key, item in known.approvals.items()}  # type: ignore[arg-type]
    assert {name: finding.reason for name, finding in found.items() if finding} == {
        "by-owner": Reason.Counted, "by-security": Reason.ApprovalRevoked, "taken-back": Reason.Counted,
    }  # fmt: skip


def test_a_role_whose_signer_may_sign_no_approval_is_a_problem_of_the_policy() -> None:
    known = s.world()
    policy = known.policies["customer-facing"]
    assert isinstance(policy, Policy)
    assert policy_problems(policy.spec, known.trust_roots) == ()
    spec = s.policy(s.SAM_SIGNS | {"may": ["Dataset"]}, s.OLGA_SIGNS)["spec"]
    (problem,) = policy_problems(type(policy.spec).model_validate(spec), known.trust_roots)
    assert problem.message == "spec.roles[security].subjects: no signer of this policy is called 'sam-signs' and may sign Approval"
    assert "olga-signs" in problem.remedy
