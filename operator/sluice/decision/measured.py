"""The evaluations of an artifact by permitted signers, and the numbers in one of them that a measure asks for.

A measure names a number, or a family of them. Of a family it asks for all that the run has: nobody leaves out the bad one of a run that is shown. Where the
requirement pins test sets, a family is what was measured on those, and each pinned suite of the family has to be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sluice.api.families import Better
from sluice.api.policy import StatementKind as Kind
from sluice.decision.signers import kind_of, permitted_signer
from sluice.decision.statements import ordered
from sluice.evidence.evaluation import Evaluation

if TYPE_CHECKING:
    from sluice.api.families import Family
    from sluice.api.measure import Measure
    from sluice.decision.model import Asked
    from sluice.evidence.facts import Fact
    from sluice.evidence.families import Families
    from sluice.evidence.family_table import Member
    from sluice.evidence.measurement import Measurement


_SHOWN: Final = 6


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """One run, by suite and slice, and by family."""

    fact: Fact
    by_slice: Mapping[tuple[str, str], Sequence[Measurement]]
    families: Families
    pinned: frozenset[str] | None
    """The suites whose test sets the requirement pins; None where it pins none."""

    @classmethod
    def of_fact(cls, fact: Fact, asked: Asked) -> Numbers:
        """Give what one statement measured: nothing, when it is no evaluation."""
        pins = asked.requirement.suite_digests
        return cls(
            fact=fact, by_slice=fact.content.by_slice if isinstance(fact.content, Evaluation) else {},
            families=asked.policy.families, pinned=frozenset(pins) if pins else None,
        )  # fmt: skip

    def of(self, measure: Measure) -> list[Measurement]:
        """What a measure asks for: several where answers were taken out of the model's text in several ways (filters), and of a family.

        A slice is another number than the whole, and never stands for it.
        """
        if measure.family is not None:
            numbers = self._by_family.get(measure.family, ())
            return [each for each, member in numbers if (each.slice == measure.slice if measure.slice else not each.slice or member.by)]
        return [each for each in self.by_slice.get((measure.suite or "", measure.slice or ""), ()) if _is_metric(each, measure)]

    def lacks(self, measure: Measure) -> str | None:
        """Say what of a measure is not there; None when all of it is."""
        found = self.of(measure)
        if measure.family is None or not self.pinned:
            return None if found else in_words(measure)
        missing = sorted((self.pinned & self.families.suites_of(measure.family)) - {each.suite for each in found})
        return f"{in_words(measure)}, measured on the pinned {missing[0]}" if missing else None if found else in_words(measure)

    @property
    def has(self) -> str:
        """Say what there is, for who asked for something else: a slip in a name, or in a slice, is seen beside it."""
        found = sorted(
            {f"{each.metric} of {each.suite}" + (f" where {each.slice}" if each.slice else "") for numbers in self.by_slice.values() for each in numbers}
        )
        # Numbers of all cases first: there are hundreds of slices.
        found.sort(key=lambda words: " where " in words)
        return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "") or "no numbers"

    def lower_is_better(self, measure: Measure, number: Measurement) -> bool:
        """Which way a number is better that the measure asks for."""
        if measure.family is None:
            return measure.better is Better.LOWER
        return next((member.lower_is_better for member in self.families.of(number) if member.family is measure.family), False)

    def values_of(self, measure: Measure, field: str) -> list[Measurement]:
        """The same where a field has some value, for each value that it has."""
        if measure.family is not None:
            numbers = self._by_family.get(measure.family, ())
            return [each for each, member in numbers if each.slice.startswith(f"{field}=") and not member.by]
        slices = (found for (suite, name), found in self.by_slice.items() if suite == measure.suite and name.startswith(f"{field}="))
        return [each for found in slices for each in found if _is_metric(each, measure)]

    def same(self, other: Measurement) -> Measurement | None:
        """The number of this run that stands for the same as that of another one."""
        alike = self.by_slice.get((other.suite, other.slice), ())
        return next((each for each in alike if (each.metric, each.filter) == (other.metric, other.filter)), None)

    @cached_property
    def _by_family(self) -> Mapping[Family, Sequence[tuple[Measurement, Member]]]:
        found: dict[Family, list[tuple[Measurement, Member]]] = {}
        for (suite, _), numbers in self.by_slice.items():
            if self.pinned is None or suite in self.pinned:
                for each in numbers:
                    for family, member in {member.family: member for member in reversed(self.families.of(each))}.items():
                        found.setdefault(family, []).append((each, member))
        return found


def about(asked: Asked, digest: str, facts: Iterable[Fact]) -> list[Numbers]:
    """Give the evaluations of an artifact by signers whom the policy permits, the earliest first."""
    found = ordered(fact for fact in facts if kind_of(fact) is Kind.EVALUATION and digest in fact.subjects and permitted_signer(asked.policy, fact))
    return [Numbers.of_fact(fact, asked) for fact in found]


def in_words(measure: Measure) -> str:
    """Say what a measure asks for."""
    what = f"{measure.metric} of {measure.suite}" if measure.family is None else f"a number of {measure.family}"
    return what + _where(measure)


def named(measure: Measure, number: Measurement) -> str:
    """Say which number it is, of those that a measure asks for."""
    if measure.family is None:
        return in_words(measure)
    return f"{number.metric} of {number.suite} ({measure.family})" + (f" where {number.slice}" if number.slice else "")


def suite_of(measure: Measure) -> str:
    """Say on what to evaluate."""
    return measure.suite or f"a suite of {measure.family} (docs/families.md)"


def is_proportion(measurement: Measurement) -> bool:
    """Whether it is a mean of numbers in [0, 1], as far as the file says."""
    within = measurement.answers is None or measurement.answers.proportions
    return within and 0 <= measurement.value <= 1 and measurement.samples >= 1


def _where(measure: Measure) -> str:
    return f" where {measure.slice}" if measure.slice else ""


def _is_metric(measurement: Measurement, measure: Measure) -> bool:
    """A metric may name its filter, as lm-eval writes it (`exact_match,strict-match`)."""
    return measure.metric in {measurement.metric, f"{measurement.metric},{measurement.filter}"}
