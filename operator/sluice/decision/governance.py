"""What a release has to say of itself: how to go back (`RollbackPlan`), and who carries the risk that remains (`ResidualRisk`).

Both are fields of the release, which people sign off with it. What is not written cannot be added later, since releases never change: such a result is Failed.
The one thing that may still come is the baseline's own right to serve.

A plan needs that right when the release comes to serve. Afterwards it is like a promotion: a release that serves already goes on when its baseline ends its
service, since nothing better would stand in for it; the message says so. Whether it serves is read from its status, which only the controller writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sluice.api.durations import parse_duration
from sluice.api.policy import SubjectKind
from sluice.api.release import Outcome
from sluice.decision.canary import first_release, not_entitled, not_there, of_another_model
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.release import Rollback
    from sluice.decision.model import Asked, Case, Result, Verdict


_SHOWN: Final = 8
"""Names that a remedy tells."""


def check_rollback_plan(asked: Asked, case: Case, decide: Callable[[Case], Verdict]) -> Result:
    """Check a requirement of type RollbackPlan. `decide` gives the verdict on another release at the same moment."""
    # 1. The plan.
    plan = case.release.spec.rollback
    if plan is None:
        return asked.result(
            Outcome.FAILED, Reason.RollbackPlanMissing, "the release does not say when to go back: it has no spec.rollback",
            remedy="apply a new ModelRelease with spec.rollback.criteria",
        )  # fmt: skip
    if incomplete := _incomplete(asked, plan):
        return incomplete
    # 2. Somebody to go back to. The first release of a model has nobody.
    named = case.release.spec.change.baseline
    if named is None:
        return first_release(asked, case, decide)
    if other := of_another_model(asked, case):
        return other
    # 3. Entitled itself: what may not serve does not stand in.
    standing = case.lineage.standing
    problem = _problem(asked, case, named.name, decide(standing) if standing is not None else None)
    if problem is None:
        return asked.result(Outcome.SATISFIED, Reason.RollbackPlanned, f"back to {named.name}, which may serve, when: {plan.criteria}")
    if case.lineage.serving:
        lost = f"{problem.message}; it serves already, and goes on: nobody could stand in for it"
        return asked.result(Outcome.SATISFIED, Reason.RollbackPlanned, lost)
    return problem


def _incomplete(asked: Asked, plan: Rollback) -> Result | None:
    most = asked.requirement.drill_max_age
    if most is None or (plan.drill_max_age is not None and parse_duration(plan.drill_max_age) <= parse_duration(most)):
        return None
    said = f"spec.rollback.drillMaxAge is {plan.drill_max_age}" if plan.drill_max_age else "spec.rollback.drillMaxAge is not set"
    return asked.result(
        Outcome.FAILED, Reason.RollbackPlanIncomplete, f"{said}; policy {asked.policy.name} asks that the way back is tried at least every {most}",
        remedy=f"apply a new ModelRelease with spec.rollback.drillMaxAge: {most}, or less",
    )  # fmt: skip


def _problem(asked: Asked, case: Case, name: str, verdict: Verdict | None) -> Result | None:
    if verdict is None:
        return not_there(asked, name)
    return None if verdict.allows is Allowance.SERVE else not_entitled(asked, name, verdict, namespace=case.release.namespace)


def check_residual_risk(asked: Asked, case: Case) -> Result:
    """Check a requirement of type ResidualRisk: the owner that the release names is one whom policy lets carry risks."""
    risk, roles = case.release.spec.residual_risk, asked.requirement.owner_roles or ()
    if risk is None:
        return asked.result(
            Outcome.FAILED, Reason.RiskOwnerMissing, "the release does not say which risk remains and who carries it: it has no spec.residualRisk",
            remedy="apply a new ModelRelease with spec.residualRisk",
        )  # fmt: skip
    allowed = [(role.name, subject) for role in asked.policy.spec.roles if role.name in roles for subject in role.subjects]
    for role, subject in allowed:
        if subject.name == risk.owner:
            who = "group" if subject.kind is SubjectKind.GROUP else "user"
            return asked.result(Outcome.SATISFIED, Reason.RiskOwned, f"{who} {risk.owner} ({role}) carries what remains: {risk.statement}")
    names = ", ".join(sorted({subject.name for _, subject in allowed})[:_SHOWN]) or "those whom the platform team gives such a role"
    return asked.result(
        Outcome.FAILED, Reason.RiskOwnerNotPermitted,
        f"spec.residualRisk.owner is {risk.owner}, who is in no role of policy {asked.policy.name} that may carry risks ({', '.join(roles)})",
        remedy=f"apply a new ModelRelease whose spec.residualRisk.owner is one of {names}",
    )  # fmt: skip
