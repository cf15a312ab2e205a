"""How much is at stake in a release: its tier, the triggers that fire, and so which requirements apply.

**What it is held against.** The release that it names as its baseline says what was there before. It does not say that anybody agreed to it: who may write
releases could write one that holds everything, name it as the baseline, and have changed nothing. So the differences count to every release back to the
first that was *accepted*: one that meets all that policy asks when it is held against nothing, so with every trigger that can fire. In the usual case that
is the baseline, or the last release before it whose change was looked at. Where there is none – no baseline is named, it cannot be found, the way back is
too long – the release is held against nothing, too.

The age of evidence is no part of that: releases are not taken out of service because the evaluation of their predecessor is a month old. What people
decided for a time, they decided for that time. What a predecessor did later, in a canary or while it served, is no part of it either; a revocation is.

**What follows.** A requirement that neither names tiers nor is named by a trigger applies to all. The others apply to the releases of their tiers, and to
those that fire a trigger that adds them: what either says, never less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.api.trigger import SecurityChange
from sluice.decision.changes import Change, changes_between
from sluice.decision.model import Case
from sluice.decision.people import usable
from sluice.decision.reasons import Reason
from sluice.decision.refusals import lowered_refusals
from sluice.decision.revocations import sift
from sluice.decision.tiers import tier_of
from sluice.decision.triggers import Fired, PolicyRisk
from sluice.decision.variables import variables

if TYPE_CHECKING:
    from sluice.api.requirement import Requirement
    from sluice.decision.model import Policy, Result, Verdict

_MET = frozenset({Outcome.SATISFIED, Outcome.WAIVED})
_LATER = frozenset({RequirementType.CANARY, RequirementType.ROLLBACK_DRILL})
"""What comes once a release is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a release is held against."""

    with_: tuple[Case, ...] = ()
    """Its baseline, and the releases before it as far as differences count. None of them has facts that count no more."""
    alone: str = ""
    """Why it is held against nothing, too; empty when the last of these was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one policy makes of a release, before any requirement is looked at."""

    policy: Policy
    risk: PolicyRisk
    variables: Mapping[str, object] | None
    """For the policy's conditions."""

    def asks(self, requirement: Requirement) -> bool:
        """Whether a requirement of the policy applies."""
        adding = {trigger.name for trigger in self.policy.spec.triggers if requirement.name in trigger.adds}
        if requirement.tiers is None and not adding:
            return True
        of_tier = requirement.tiers is not None and (self.risk.tier is None or self.risk.tier in requirement.tiers)
        return of_tier or any(fired.trigger in adding for fired in self.risk.fired)


Decide = Callable[[Case], "Verdict"]


def weigh(case: Case, decide: Decide, *, ageless: Decide) -> tuple[Weighed, ...]:
    """Weigh a release without facts that count no more. `decide` gives the verdict on another release at the same moment, `ageless` as if no evidence aged."""
    policies = usable(case)
    compared = _compared(case, decide, ageless) if any(policy.compares for policy in policies) else Compared()
    changes = _changes(case, compared)
    return tuple(_weighed(policy, case, compared, changes) for policy in sorted(policies, key=lambda policy: policy.name))


def _weighed(policy: Policy, case: Case, compared: Compared, changes: tuple[Change, ...]) -> Weighed:
    lowered = {trigger.name: _lowered(policy, index, case, compared) for index, trigger in enumerate(policy.spec.triggers)}
    kinds = {change.kind.value for change in (*changes, *(one for found in lowered.values() for one in found))}
    values = variables(policy, case, kinds)
    fired = []
    for trigger in policy.spec.triggers:
        found = [change for change in (*changes, *lowered[trigger.name]) if change.kind in (trigger.changes or ())]
        fired += [Fired(policy=policy.name, trigger=trigger.name, change=change.kind, detail=change.detail) for change in found]
        when = policy.whens.get(trigger.name)
        if when is not None and (holds := when.holds(values)) is not False:
            said = "is true" if holds else "cannot be evaluated: something that it reads is not there"
            fired.append(Fired(policy=policy.name, trigger=trigger.name, change=None, detail=f"{when.text} {said}"))
    risk = PolicyRisk(policy=policy.name, tier=tier_of(policy, values), fired=tuple(fired))
    return Weighed(policy=policy, risk=risk, variables=values)


def _changes(case: Case, compared: Compared) -> tuple[Change, ...]:
    release = case.release.spec
    found = dict.fromkeys(change for other in compared.with_ for change in changes_between(release, other.release.spec))
    if compared.alone:
        alone = changes_between(release, None)
        found |= dict.fromkeys(replace(change, detail=compared.alone) if change.kind is SecurityChange.FIRST_RELEASE else change for change in alone)
    return tuple(found)


def _lowered(policy: Policy, index: int, case: Case, compared: Compared) -> tuple[Change, ...]:
    baselines = (*compared.with_, *((None,) if compared.alone else ()))
    return tuple(dict.fromkeys(change for baseline in baselines for change in lowered_refusals(policy.spec.triggers[index], policy, case, baseline)))


def _compared(case: Case, decide: Decide, ageless: Decide) -> Compared:
    seen: list[Case] = []
    first = ""
    for ancestor in case.lineage.ancestors:
        seen.append(sift(ancestor).case)
        by_itself = replace(ancestor, runs=(), monitors=())
        verdict = decide(by_itself)
        if (unmet := _unmet(verdict)) and any(result.outcome is Outcome.EXPIRED for result in verdict.results):
            # Sign-offs name the evidence that they rest on, so with evidence that is too old they would not count, either.
            unmet = _unmet(ageless(by_itself))
        if not unmet:
            return Compared(with_=tuple(seen))
        first = first or f"its baseline {ancestor.release.name} was not accepted ({unmet}), nor was one before it"
    return Compared(with_=tuple(seen), alone=first or _why_alone(case))


def _unmet(verdict: Verdict) -> str | None:
    """Give what keeps a release from having been accepted by itself; None when it was."""
    if verdict.rejected:
        return "it was rejected"
    unmet = (f"{result.requirement}: {result.reason}" for result in verdict.results if result.outcome not in _MET and not _is_later(result))
    return next(unmet, None if verdict.results else "nothing was asked of it")


def _is_later(result: Result) -> bool:
    # It is judged by itself: whether its own baseline may serve is not asked.
    return result.type in _LATER or result.reason is Reason.BaselineNotEntitled


def _why_alone(case: Case) -> str:
    named, baseline = case.release.spec.change.baseline, case.lineage.baseline
    if named is None:
        return "it names no baseline"
    if baseline is None:
        return f"its baseline {named.name} is not there"
    return f"its baseline {named.name} is of model {baseline.spec.model}, not {case.release.spec.model}"
