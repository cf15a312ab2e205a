"""What strangers write – cases, plans, statistics – is read or refused, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.cases import CasesRefused, read_cases
from sluice.scoring.plan import PlanRefused, read_plan
from sluice.scoring.wire import StatisticsRefused, read_statistics
from tests.unit.scoring.sides import plan
from tests.unit.scoring.test_wire import EXPECTED, written

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CASE = {
    "id": "c-1",
    "input": {"tensors": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]},
    "expect": {"text": "yes"},
    "slices": {"region": "DACH"},
    "tags": ["unsafe"],
}
CHAT = {"id": "c-2", "input": {"turns": [[{"role": "user", "content": "?"}]], "tools": [{"type": "function"}]}}


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - any JSON value
    """The path of every value in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in items for place in places(child, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, document: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The document with one value replaced, or one member added or taken out."""
    copy = json.loads(json.dumps({"it": document}))
    path = draw(st.sampled_from(places(copy["it"])))
    parent = copy
    for key in ("it", *path)[:-1]:
        parent = parent[key]
    last = ("it", *path)[-1]
    match draw(st.sampled_from(["replace", "add", "remove"])):
        case "replace":
            parent[last] = draw(JSON)
        case "add" if isinstance(parent[last], dict):
            parent[last][draw(st.text(max_size=8))] = draw(JSON)
        case _ if isinstance(parent, dict) and path:
            del parent[last]
    return json.dumps(copy.get("it")).encode()


@given(changed(CASE) | changed(CHAT) | st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_cases_are_read_or_refused_with_a_line(raw: bytes) -> None:
    try:
        cases = read_cases(raw)
    except CasesRefused as error:
        assert str(error).startswith(("line ", "there is no case"))  # noqa: PT017 - either way is right
    else:
        assert cases.all


@given(changed(json.loads(plan().as_json())) | st.binary(max_size=60))
def test_a_plan_is_read_or_refused(raw: bytes) -> None:
    with suppress(PlanRefused):
        read_plan(raw)


@given(changed(json.loads(written())) | st.binary(max_size=60))
def test_statistics_are_refused_or_keep_to_the_plan(raw: bytes) -> None:
    with suppress(StatisticsRefused):
        said = read_statistics(raw, EXPECTED)
        assert said.scored <= said.of == 8
        assert [look.units for look in said.looks] == [5, 3][: len(said.looks)]
        for look in said.looks:
            for slices in look.tallies.values():
                assert all(sum(tally.values()) <= (look.units - look.void) * 1000 for tally in slices.values())
                assert all(-1000 <= point <= 1000 and weight >= 0 for tally in slices.values() for point, weight in tally.items())
