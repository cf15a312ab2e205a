"""What was decided is given again while it is still so, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice.decision import verdicts
from sluice.decision.instant import Instant
from sluice.decision.model import Case, Release, Verdict
from sluice.decision.verdicts import Verdicts
from tests.unit.decision import case as c

HOUR = timedelta(hours=1)


class Asked:
    """Verdicts that change in an hour, and how often one had to be made."""

    def __init__(self) -> None:
        self.made = 0
        self._verdicts = Verdicts()

    def _decide(self) -> Verdict:
        self.made += 1
        return Verdict(release_digest=c.digest_of(str(self.made)), evidence_digest="", results=(), changes_at=c.NOW + HOUR)

    def verdict(self, name: str = c.NAME, *, later: timedelta = timedelta(), changes: int = 0) -> Verdict:
        return self._verdicts.of(c.Key(c.NAMESPACE, name), self._decide, changes=changes, now=c.NOW + later)


def test_while_nothing_changes_a_verdict_is_made_once_for_each_release() -> None:
    asked = Asked()
    first = asked.verdict()
    assert asked.verdict("other") != first
    assert asked.verdict(later=HOUR / 2) == first
    assert asked.made == 2


@pytest.mark.parametrize(("later", "changes"), [(HOUR, 0), (-HOUR, 0), (timedelta(), 1)])
def test_when_its_time_has_come_or_the_clock_was_set_back_or_anything_changed_it_is_made_anew(later: timedelta, changes: int) -> None:
    asked = Asked()
    first = asked.verdict()
    assert asked.verdict(later=later, changes=changes) != first
    assert asked.made == 2


def test_of_very_many_releases_not_every_verdict_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "MOST_KEPT", 2)
    asked = Asked()
    for name in ("a", "b", "c", "c", "a"):
        asked.verdict(name)
    assert asked.made == 4


def test_a_burst_of_pods_of_one_release_costs_one_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    world, made = c.approved_world(), list[Release]()
    really = world.case

    def gathered(release: Release) -> Case:
        made.append(release)
        return really(release)

    monkeypatch.setattr(world, "case", gathered)
    for _ in range(3):
        subject = world.subject(c.NAMESPACE, c.NAME, now=c.NOW)
        assert subject is not None
        assert subject.verdict == world.verdict(c.KEY, now=c.NOW)
    assert len(made) == 1


def test_an_instant_says_when_the_first_of_its_answers_becomes_another_one() -> None:
    instant = Instant(c.NOW)
    assert instant.has_come(c.NOW)
    assert instant.has_come(c.NOW - HOUR)
    assert instant.changes_at is None
    assert not instant.has_come(c.NOW + 3 * HOUR)
    assert not instant.has_come(c.NOW + 4 * HOUR, early=2 * HOUR)
    assert not instant.has_come(c.NOW + 5 * HOUR)
    assert instant.changes_at == c.NOW + 2 * HOUR
    assert instant.has_come(c.NOW + HOUR, early=HOUR)
