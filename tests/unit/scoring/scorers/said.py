"""Cases and answers in one line each."""

from collections.abc import Mapping

from sluice.scoring.answer import Answer, ToolCall
from sluice.scoring.case import Case, Chat, Input, Json, Prompt, Tensor


def case(*tags: str, asked: Input | None = None, **expect: Json) -> Case:
    """A case with these tags that expects this."""
    return expecting(expect, *tags, asked=asked)


def expecting(expect: Mapping[str, Json], *tags: str, asked: Input | None = None) -> Case:
    """The same, for expectations at hand."""
    return Case(id="c-1", input=asked or Prompt(text="?"), expect=expect, tags=frozenset(tags))


def said(text: str = "", *, calls: tuple[ToolCall, ...] = (), turns: tuple[str, ...] = (), **tensors: tuple[Json, ...]) -> Answer:
    """An answer with this text, these tool calls, and one tensor of one row for each other argument."""
    return Answer(
        text=text or "\n".join(turns),
        turns=turns,
        tool_calls=calls,
        tensors={name: Tensor(name=name, shape=(1, len(data)), datatype="FP64", data=data) for name, data in tensors.items()},
        latency_seconds=0.5,
    )


def called(tool: str, raw: str = "{}", **arguments: Json) -> ToolCall:
    """A call of `tool`."""
    return ToolCall(name=tool, arguments=arguments, raw=raw)


def chat(*tools: tuple[str, Json]) -> Chat:
    """A conversation in which these tools, with the schema of their arguments, may be called."""
    return Chat(
        turns=(({"role": "user", "content": "?"},),),
        tools=tuple({"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in tools),
    )
