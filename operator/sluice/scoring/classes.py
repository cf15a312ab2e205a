"""Precision, recall and F1 of both sides, for a report: figures of a set of cases, not of one, and so nothing that the engine could decide on.

They come from three counts for each class and side, which add up over shards like everything else. Both sides are counted on the same answers, those pairs that
the comparison counts, and a candidate that did not answer has named no class. What decides is whether each case was right, beside the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.scorers import Scorer, ScorerType
from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.scorers.classification import label_of

PREFIX: Final = "class."
"""Of the sums that are no quantities of answers but these counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounter:
    """Counts the classes of one scorer; `index` is its place among the scorers of the plan."""

    index: int
    labels: tuple[str, ...]
    predicted: Callable[[Answer], str | None]

    def of(self, case: Case, answer: Answer | NoAnswer) -> dict[str, int]:
        """What one answer adds. Raises what the scorer raises for an answer that it cannot read."""
        wanted = label_of(case, self.labels)
        if wanted not in self.labels:
            return {}
        given = self.predicted(answer) if isinstance(answer, Answer) else None
        counts = {self._name(wanted, "expected"): 1}
        if given in self.labels:
            counts[self._name(given, "given")] = 1
        if given == wanted:
            counts[self._name(wanted, "both")] = 1
        return counts

    def _name(self, label: str, what: str) -> str:
        return f"{PREFIX}{self.index}.{self.labels.index(label)}.{what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class: of how many cases it was right, to how many it was given, and to how many of those rightly."""

    label: str
    expected: int
    given: int
    both: int

    @property
    def precision(self) -> float | None:
        """Share of the cases given this class that have it; None when none was given it."""
        return self.both / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """Share of the cases with this class that were given it; None when there is none."""
        return self.both / self.expected if self.expected else None

    @property
    def f1(self) -> float | None:
        """2·both / (expected + given): the harmonic mean of both, also where one of them is undefined. None when the class does not occur."""
        either = self.expected + self.given
        return 2 * self.both / either if either else None


def figures_of(scorers: Sequence[Scorer], sums: Mapping[str, int]) -> dict[str, tuple[ClassFigures, ...]]:
    """The classes of each classification that names them, from the sums of one side."""
    return {
        scorer.name: tuple(
            ClassFigures(label=label, **{what: sums.get(f"{PREFIX}{index}.{at}.{what}", 0) for what in ("expected", "given", "both")})
            for at, label in enumerate(scorer.labels)
        )
        for index, scorer in enumerate(scorers)
        if scorer.type is ScorerType.CLASSIFICATION and scorer.labels
    }


def macro_f1(figures: Sequence[ClassFigures]) -> float | None:
    """Mean F1 of the classes that were expected, each with the same weight; None without cases."""
    values = [each.f1 for each in figures if each.expected and each.f1 is not None]
    return sum(values) / len(values) if values else None


def quantities(sums: Mapping[str, int]) -> dict[str, int]:
    """The sums that are no counts of classes."""
    return {name: count for name, count in sums.items() if not name.startswith(PREFIX)}
