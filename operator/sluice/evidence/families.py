"""Which family does a number belong to, and which way is it better? By the table, and by what a policy adds for itself; and the page that shows the table.

The number of all cases belongs to one family or to none, and so does each slice by its field. An addition that the table, or another addition, speaks of
already is refused: else a policy could move a suite on which a model does badly out of the family that asks for it, and nobody would see it in the requirement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sluice.api.families import Better, Family
from sluice.evidence.family_table import TABLE, Member

if TYPE_CHECKING:
    from sluice.api.families import FamilyMember
    from sluice.evidence.measurement import Measurement

_ANY: Final = "*"
_Place = tuple[str, str, str, str]
"""Harness, field, suite, metric."""


class Families:
    """Members by where they stand: a look-up costs the same whatever is in the table."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members: dict[_Place, Member] = {(each.harness, each.by, each.suite, each.metric): each for each in members}

    def of(self, number: Measurement) -> tuple[Member, ...]:
        """Give what a number belongs to: that of a slice to what names its field, and to what that of all cases belongs to."""
        field, _, _ = number.slice.partition("=")
        found = [self._find(number.harness, number.suite, number.metric, number.filter, by=by) for by in dict.fromkeys((field, ""))]
        return tuple(filter(None, found))

    def called(self, suite: str, metric: str, *, by: str = "") -> tuple[Family, ...]:
        """Give the families of numbers of this name, whichever tool measures them: that can be told before anything is. `by` is the field of a slice."""
        name, _, filter_name = metric.partition(",")
        tools = {harness for harness, _, _, _ in self._members}
        found = (self._find(tool, suite, name, filter_name, by=field) for tool in tools for field in {by, ""})
        return tuple(sorted({member.family for member in found if member is not None}))

    def suites_of(self, family: Family) -> frozenset[str]:
        """The suites of a family that are known by their names; others are by their metric."""
        return frozenset(each.suite for each in self._members.values() if each.family is family and each.suite != _ANY)

    def adding(self, added: Iterable[FamilyMember]) -> Families:
        """These, and what a policy adds.

        Raises ValueError: one of these is there already; the message says where.
        """
        found = Families(self._members.values())
        # Without a filter first: a metric is then found where one of its filters is added, too.
        for index, each in sorted(enumerate(added), key=lambda item: "," in item[1].metric):
            metric, _, filter_name = each.metric.partition(",")
            if (there := found._find(each.harness, each.suite, metric, filter_name, by=each.by or "")) is not None:
                message = f"families[{index}]: {each.metric} of {each.suite} by {each.harness} belongs to {there.family} already; leave it out"
                raise ValueError(message)
            found._members[each.harness, each.by or "", each.suite, each.metric] = Member(
                family=each.family, harness=each.harness, suite=each.suite, metric=each.metric, by=each.by or "", lower_is_better=each.better is Better.LOWER
            )
        return found

    def _find(self, harness: str, suite: str, metric: str, filter_name: str, *, by: str) -> Member | None:
        places = ((harness, by, one, other) for one in _names_of_suite(suite) for other in _names_of_metric(metric, filter_name))
        return next((self._members[place] for place in places if place in self._members), None)


def _names_of_suite(suite: str) -> tuple[str, ...]:
    module, dot, _ = suite.partition(".")
    return (suite, f"{module}.*", _ANY) if dot else (suite, _ANY)


def _names_of_metric(metric: str, filter_name: str) -> tuple[str, ...]:
    first, slash, rest = metric.partition("/")
    whole = (metric, f"{metric},{filter_name}", _ANY)
    return (*whole, f"{first}/{rest.partition('/')[0]}/*") if slash else whole


KNOWN: Final = Families(TABLE)
"""What is known of the tools that we read."""

MEANING: Final[Mapping[Family, str]] = MappingProxyType({
    Family.QUALITY: "answers are right",
    Family.UNSAFE_REFUSAL: "unsafe prompts are refused",
    Family.SAFE_ANSWERING: "safe prompts are answered, not refused out of caution (over-refusal)",
    Family.JAILBREAK_RESISTANCE: "what is refused stays refused, however it is asked",
    Family.INJECTION_RESISTANCE: "instructions in data are not followed (prompt injection)",
    Family.TOOL_SELECTION: "the right tool is called, with the right arguments",
    Family.TOOL_SAFETY: "tools are not called to do harm, nor beyond what was asked",
    Family.CONFIDENTIALITY: "data, secrets and prompts do not leak, and are not exfiltrated",
    Family.FACTUALITY: "nothing is made up (hallucination)",
    Family.STRUCTURED_OUTPUT: "output is of the form that was asked for",
    Family.PROMPT_STABILITY: "the answer stays the same when the question is put differently (prompt sensitivity)",
    Family.INPUT_ROBUSTNESS: "malformed input leads nowhere bad",
    Family.RARE_SLICES: "rare and high-impact cases are answered as well",
    Family.LANGUAGES: "it works in each language",
    Family.FAIRNESS: "groups of people are treated alike",
    Family.LATENCY: "answers come in time: the share within a limit",
    Family.COST: "answers cost what they may: the share within a limit",
})  # fmt: skip
"""What 1 means."""


def markdown() -> str:
    """Render docs/families.md."""
    return "\n".join([*_head(), *_by_family()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Families of measurements"
    yield "<!-- Generated from operator/sluice/evidence/family_table.py by `make reference`. Do not edit. -->"
    yield ""
    yield "What a measure by [family](evaluations.md#by-family) finds. Numbers of a family are read so that 1 is best; *less is better* marks those that the"
    yield "tool counts the other way round. A number that is not here belongs to no family until a policy says so in `spec.families`."
    yield ""
    yield "| family | 1 means that | known tools |"
    yield "|---|---|---|"
    for family, meaning in MEANING.items():
        tools = ", ".join(_tools(family))
        yield f"| {f'[`{family}`](#{family.lower()})' if tools else f'`{family}`'} | {meaning} | {tools or 'none: add your own suites'} |"


def _tools(family: Family) -> list[str]:
    return sorted({each.harness for each in TABLE if each.family is family})


def _by_family() -> Iterator[str]:
    for family in Family:
        if not (tools := _tools(family)):
            continue
        yield f"\n## {family}"
        yield "| tool | metric | suites |"
        yield "|---|---|---|"
        for tool in tools:
            suites: dict[tuple[str, bool], list[str]] = {}
            for each in TABLE:
                if (each.family, each.harness) == (family, tool):
                    suites.setdefault((each.metric, each.lower_is_better), []).append(each.suite)
            metrics: dict[tuple[str, bool], list[str]] = {}
            for (metric, lower), named in suites.items():
                metrics.setdefault((_code(named), lower), []).append(metric)
            for (named_, lower), listed in metrics.items():
                yield f"| {tool} | {_code(listed)}{', less is better' if lower else ''} | {named_} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
