"""Expressions (CEL) in policies: checked against the types of what they read when the policy is, bounded in what they cost, and never an accident.

Each is compiled twice. Once over typed variables, where a slip in the name of a field and a comparison of a text with a number are errors; that is what an
author hears. Once over the same as plain JSON, which is what runs: there a field that a release leaves out is an error, and not the empty text that
typed messages have in its place, so that nothing is decided by a default that nobody wrote.

The library bounds nesting (32) and iterations (10,000) itself, but not what one step costs. So there is no `+`, and with it no `map`, `filter` and
`exists_one`: repeated joining takes 4 GB from 250 characters. And there are at most three comprehensions: nine, each around a list of the one before,
compare for seconds, three of any length for less than one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from cel_expr_python import cel

from sluice.decision.variables import POOL, TYPES

_CONFIG: Final = "stdlib: {exclude_functions: [{name: _+_}]}"
_COMPREHENSION: Final = re.compile(r"\.\s*(?:exists|all)\s*\(")
_MOST_COMPREHENSIONS: Final = 3
_SHOWN: Final = 200
_PREFIX: Final = re.compile(r"^[A-Z_]+: ERROR: <input>:(\d+):(\d+): ")
_LEFT_OUT: Final = "undeclared reference to '_+_'"


class ExpressionMalformedError(ValueError):
    """An expression does not compile, is no condition, or may cost too much. The message starts with its field."""


@cache
def _environments() -> tuple[cel.Env, cel.Env]:
    """Give the environment that checks, and the one that runs."""
    checks = cel.NewEnv(descriptor_pool=POOL, config=cel.NewEnvConfigFromYaml(_CONFIG), variables=dict(TYPES))
    runs = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_CONFIG), variables=dict.fromkeys(TYPES, cel.Type.DYN))
    return checks, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A compiled condition."""

    text: str
    program: cel.Expression

    @classmethod
    def compile(cls, text: str, *, field: str) -> Expression:
        """Compile the condition that stands in `field` (`spec.tiers[high].when`).

        Raises:
            ExpressionMalformedError: it does not compile, reads what is not there, has too many comprehensions, or is not bool.
        """
        if (count := len(_COMPREHENSION.findall(text))) > _MOST_COMPREHENSIONS:
            message = f"{field} has {count} comprehensions (exists, all), more than {_MOST_COMPREHENSIONS}: make it two"
            raise ExpressionMalformedError(message)
        checks, runs = _environments()
        try:
            type_ = checks.compile(text).return_type()
            program = runs.compile(text)
        except RuntimeError as error:
            message = f"{field}: {_in_words(str(error).splitlines()[0])} (value: {text[:_SHOWN]!r})"
            raise ExpressionMalformedError(message) from error
        if type_ not in (cel.Type.BOOL, cel.Type.DYN):
            message = f"{field} is {type_.name()}, not bool (value: {text[:_SHOWN]!r})"
            raise ExpressionMalformedError(message)
        return cls(text=text, program=program)

    def names(self, variable: str) -> bool:
        """Whether the text names a variable. A text in quotes counts, too: then it is computed for nothing."""
        return re.search(rf"\b{variable}\b", self.text) is not None

    def holds(self, variables: Mapping[str, object] | None) -> bool | None:
        """Evaluate it; None: it cannot be, because something it reads is not there, is not comparable, or because it costs too much."""
        if variables is None:
            return None
        try:
            value = self.program.eval(data=variables)
        except RuntimeError:
            # Over the library's budget. Its other failures come back as a value of type ERROR.
            return None
        return bool(value.value()) if value.type() == cel.Type.BOOL else None


def _in_words(error: str) -> str:
    """Say where it is, and what a user who knows CEL looks for in vain."""
    hint = ": there is no +, map or filter here (docs/risk.md)" if _LEFT_OUT in error else ""
    return _PREFIX.sub(r"line \1, column \2: ", error) + hint
