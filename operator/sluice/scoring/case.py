"""What is asked: one case, as every protocol client and every scorer sees it.

Values come from a file that others wrote, and are checked where it is read (`sluice.scoring.cases`); here is only their shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of the Open Inference Protocol; `data` is flat, in row-major order."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text to continue (OpenAI completions), or the only message of a user (chat)."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A conversation: OpenAI messages, and the tools that the model may call.

    `turns` holds one list of messages for each turn: the model answers after each, its answer is put before the next turn, and all answers count.
    """

    turns: tuple[tuple[Mapping[str, Json], ...], ...]
    tools: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """Inputs of the Open Inference Protocol."""

    inputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to embed."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Values for the template of a plain HTTP request."""

    values: Mapping[str, Json]


Input = Prompt | Chat | Tensors | Text | Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input, with what is expected of the answer; `expect` is read by the scorers, each its own members."""

    id: str
    input: Input
    expect: Mapping[str, Json] = field(default_factory=dict)
    slices: Mapping[str, str] = field(default_factory=dict)
    """Dimension to value: `{"region": "DACH"}` puts the case into slice `region=DACH`."""
    tags: frozenset[str] = frozenset()
