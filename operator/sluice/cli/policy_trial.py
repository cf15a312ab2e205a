"""One case of a `PolicyTest`, held against what is decided: which verdict was expected, and which one came.

The objects of the files are changed for the case and put back after it, so that no case depends on another. Nothing of a verdict is kept: cases have times of
their own, which may go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sluice.api.base import parse_time
from sluice.api.kinds import KINDS
from sluice.cli.desk import Desk
from sluice.cli.manifests import ManifestRefused, check_rules
from sluice.cli.policy_cases import Came, Change, ExpectedResult, PolicyCase
from sluice.cli.verify import CannotTell
from sluice.decision.access import CLUSTERED
from sluice.decision.decide import decide
from sluice.decision.model import Policy, Release, Result, Verdict
from sluice.decision.objects import NAMESPACE
from sluice.decision.records import Key

_CLUSTERED = frozenset({kind.name for kind in KINDS if not kind.namespaced} | CLUSTERED | {NAMESPACE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that came out otherwise."""

    what: str
    expected: str
    got: str


def differences(desk: Desk, case: PolicyCase, *, now: str) -> tuple[Difference, ...]:
    """Decide about the release of a case and say what is not as expected; `now` where the case has no time of its own.

    Raises CannotTell: something that the case names is not there, or its change makes what no cluster would take.
    """
    namespace, _, name = case.release.partition("/")
    key = Key(namespace=namespace, name=name)
    with _changed(desk, case, namespace):
        release = desk.world.releases.get(key)
        if not isinstance(release, Release):
            raise CannotTell(f"case {case.name!r}: {desk.nothing(key).message}")
        _check_names(desk, case)
        verdict = decide(desk.world.case(release), now=parse_time(case.now or now))
    return tuple(_differences(case, verdict))


def _check_names(desk: Desk, case: PolicyCase) -> None:
    """Refuse a name that no policy has: that it is not asked would be true for ever. Raises CannotTell."""
    policies = [policy for policy in desk.world.policies.values() if isinstance(policy, Policy)]
    known = {name for policy in policies for each in policy.spec.requirements for name in (each.name, f"{policy.name}/{each.name}")}
    for name, expected in case.expect.requirements.items():
        if expected.outcome is Came.NOT_ASKED and name not in known:
            there = ", ".join(sorted(name for name in known if "/" not in name)) or "none"
            raise CannotTell(f"case {case.name!r}: no policy has a requirement {name!r}, so NotAsked would always be true; there is {there}")


@contextmanager
def _changed(desk: Desk, case: PolicyCase, namespace: str) -> Iterator[None]:
    changed: dict[tuple[str, Key], dict[str, Any] | None] = {}
    try:
        for change in case.patch:
            at = change.kind, Key(namespace="" if change.kind in _CLUSTERED else change.namespace or namespace, name=change.name)
            before = changed.get(at, desk.items.get(at))
            if before is None:
                there = ", ".join(sorted(str(key) for kind, key in desk.items if kind == change.kind)[:5]) or "none"
                raise CannotTell(f"case {case.name!r}: patch: there is no {change.kind} {at[1]} in the files to change; of that kind there is {there}")
            changed[at] = _after(before, change, at, case)
            _put(desk, at, changed[at])
        yield
    finally:
        for at in changed:
            _put(desk, at, desk.items[at])


def _put(desk: Desk, at: tuple[str, Key], item: dict[str, Any] | None) -> None:
    if item is None:
        desk.world.remove(*at)
    else:
        desk.world.put(at[0], item)


def _after(before: dict[str, Any], change: Change, at: tuple[str, Key], case: PolicyCase) -> dict[str, Any] | None:
    if change.merge is None:
        return None
    after = merged(before, change.merge)
    if after.get("kind") != at[0] or not isinstance(after.get("metadata"), dict) or Key.of(after) != at[1]:
        raise CannotTell(f"case {case.name!r}: patch: {at[0]} {at[1]} would become another object; leave its kind, name and namespace")
    try:
        check_rules(after)
    except ManifestRefused as error:
        raise CannotTell(f"case {case.name!r}: patch of {at[1]}: {error}") from None
    return after


def merged(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396, section 2) to what may be no object yet."""
    found: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value) if isinstance(value, dict) else value
    return found


def _differences(case: PolicyCase, verdict: Verdict) -> Iterator[Difference]:
    expect = case.expect
    for what, expected, got in (("phase", expect.phase, verdict.phase), ("allows", expect.allows, verdict.allows)):
        if expected is not None and expected != got:
            yield Difference(what=what, expected=str(expected), got=f"{got}: {_missing(verdict)}" if verdict.open else str(got))
    for name, result in expect.requirements.items():
        yield from _of_requirement(name, result, verdict)
    if expect.triggers is not None:
        fired = sorted({one.trigger for one in verdict.fired})
        if fired != sorted(set(expect.triggers)):
            yield Difference(what="triggers", expected=", ".join(sorted(set(expect.triggers))) or "none", got=", ".join(fired) or "none")


def _missing(verdict: Verdict) -> str:
    return ", ".join(f"{result.requirement} ({result.reason})" for result in verdict.open)


def _of_requirement(name: str, expected: ExpectedResult, verdict: Verdict) -> Iterator[Difference]:
    found = [result for result in verdict.results if name in {result.requirement, f"{result.policy}/{result.requirement}"}]
    told = f"{expected.outcome} ({expected.reason})" if expected.reason else str(expected.outcome)
    if not found and expected.outcome is not Came.NOT_ASKED:
        asked = ", ".join(result.requirement for result in verdict.results)
        yield Difference(what=name, expected=told, got=f"NotAsked; asked are {asked or 'none'}")
    for result in found:
        if str(result.outcome) != expected.outcome or expected.reason not in {None, str(result.reason)}:
            yield Difference(what=name, expected=told, got=_told(result))


def _told(result: Result) -> str:
    return f"{result.outcome} ({result.reason}): {result.message}"
