"""Writes the logs of Inspect in this folder, offline: `python make_inspect.py FOLDER` with inspect-ai installed, once for each version.

Eight samples in two epochs, answered by nobody: the answers are made here.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import inspect_ai  # type: ignore[import-not-found,unused-ignore]
from inspect_ai.dataset import MemoryDataset, Sample  # type: ignore[import-not-found,unused-ignore]
from inspect_ai.model import ModelOutput  # type: ignore[import-not-found,unused-ignore]
from inspect_ai.scorer import Score, match, mean, scorer  # type: ignore[import-not-found,unused-ignore]
from inspect_ai.solver import solver  # type: ignore[import-not-found,unused-ignore]

_SAMPLES, _RIGHT = 8, 6


@solver  # type: ignore[untyped-decorator,unused-ignore]
def canned() -> Callable[[Any, Any], Awaitable[Any]]:
    """Answer the first six right, but for one of them in the second epoch."""

    async def solve(state: Any, _generate: Any) -> Any:  # noqa: ANN401 - a type of the tool's
        number = int(state.sample_id)
        right = number < _RIGHT and (number, state.epoch) != (3, 2)
        state.output = ModelOutput.from_content("mockllm/model", str(number) if right else "no")
        return state

    return solve


@scorer(metrics={"a": [mean()], "b": [mean()]})  # type: ignore[untyped-decorator,unused-ignore]
def two() -> Callable[[Any, Any], Awaitable[Any]]:
    """Give two values to each answer."""

    async def score(state: Any, _target: Any) -> Any:  # noqa: ANN401 - a type of the tool's
        return Score(value={"a": 0.25 if int(state.sample_id) % 2 else 1.0, "b": 1})

    return score


@inspect_ai.task  # type: ignore[untyped-decorator,unused-ignore]
def sums() -> Any:  # noqa: ANN401 - a type of the tool's
    """Eight samples of two regions."""
    samples = [Sample(id=each, input=f"q{each}", target=str(each), metadata={"region": ("DACH", "UK")[each % 2]}) for each in range(_SAMPLES)]
    return inspect_ai.Task(dataset=MemoryDataset(samples, name="sums"), solver=canned(), scorer=[match(), two()], epochs=2)


if __name__ == "__main__":
    for kind in ("eval", "json"):
        (log,) = inspect_ai.eval(sums(), model="mockllm/model", log_dir=sys.argv[1], log_format=kind, display="none")
        Path(log.location).rename(Path(sys.argv[1]) / f"inspect-{inspect_ai.__version__}.{kind}")
