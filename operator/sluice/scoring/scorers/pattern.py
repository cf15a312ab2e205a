"""Regular expressions from people we do not know, on texts from models that we do not trust.

Python's `re` backtracks: `(a*)*b` on thirty letters, or `.*.*x` on a long line, takes hours. A check that refuses "dangerous" expressions has to be right about
every expression; an engine that does not backtrack only has to be used. CEL's `matches` is RE2, and the CEL library is here for the conditions of policies
already. Measured on 1 MiB: `(a*)*b` 5 ms, `.*.*.*x` 8 ms.

RE2's time is at worst the length of the text times the size of the expression with all repetitions written out (`.{0,900}` three times over 1 MiB: 167 s), so
both are bounded: an expression to 256 elements, a text to its first 256 Ki characters; together 4 s. RE2 itself refuses what needs backtracking: references to
groups, and looking ahead or behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cel_expr_python import cel

PATTERN_LIMIT = 1024
"""Characters of an expression."""
ELEMENT_LIMIT = 256
"""Characters, classes and so on of an expression when `x{3}` is written `xxx`."""
SEARCHED_LIMIT = 2**18
"""Characters of a text."""

# What an expression is made of, as far as counting needs it. Anything that is none of these is an element by itself.
_PART = re.compile(
    r"(?P<element>\\[pPx]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?[^:)]*:)?)|(?P<close>\))|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}",
    re.DOTALL,
)


class PatternError(ValueError):
    """An expression that is not used; the message goes on after the expression."""


def searcher(pattern: str) -> Callable[[str], bool]:
    """Build a function that tells whether `pattern` (RE2 syntax) occurs in a text; `^` and `$` are the text's ends, `(?i)` ignores case.

    Raises PatternError. The function raises nothing: a lone surrogate, which RE2's UTF-8 does not have, is a `?`, and NUL, at which CEL's library would end the
    text, a replacement character.
    """
    from cel_expr_python import cel  # noqa: PLC0415 - brings protobuf, 40 ms that a scorer of cases without expressions need not wait for

    if not 1 <= len(pattern) <= PATTERN_LIMIT:
        raise PatternError(f"is {len(pattern)} characters; write 1 to {PATTERN_LIMIT}")
    if "\\Q" in pattern:
        raise PatternError("quotes with \\Q; write a backslash before each character instead")
    if not pattern.isprintable():
        raise PatternError("holds characters that are not printable; write them as escapes, such as \\n or \\x{200B}")
    # JSON's escapes of quotes and backslashes are CEL's; other characters stay themselves.
    compiled = _environment().compile(f"text.matches({json.dumps(pattern, ensure_ascii=False)})")

    def search(text: str) -> bool:
        readable = text[:SEARCHED_LIMIT].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        value = compiled.eval(data={"text": readable})
        if value.type() != cel.Type.BOOL:
            reason = str(value.value()).rpartition("regular expression: ")[2][:200]
            raise PatternError(f"is refused by RE2: {reason} (it has no back-references and no look-around)")
        return value.value() is True

    search("")  # RE2 compiles the expression when it is first used: from here on it is known to be well-formed
    if (count := elements(pattern)) > ELEMENT_LIMIT:
        raise PatternError(f"has {count:,} elements with its repetitions written out; write at most {ELEMENT_LIMIT}, for example `+` instead of {{1,900}}")
    return search


@cache
def _environment() -> cel.Env:
    """CEL with nothing but `matches`; made for the first expression, since most suites have none."""
    from cel_expr_python import cel  # noqa: PLC0415 - as in `searcher`

    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml("stdlib: {include_functions: [{name: matches}]}"),
        variables={"text": cel.Type.STRING},
    )


def elements(pattern: str) -> int:
    """How many elements a well-formed expression has when its counted repetitions are written out; more rather than fewer in doubt."""
    totals, last, at = [0], [0], 0
    while at < len(pattern):
        part = _PART.match(pattern, at)
        at = part.end() if part else at + 1
        if part and part["open"]:
            totals.append(0)
            last.append(0)
        elif part and part["close"] and len(totals) > 1:
            # The group is the element that a repetition behind it repeats.
            group = max(totals.pop(), 1)
            last.pop()
            totals[-1], last[-1] = totals[-1] + group, group
        elif part and part["least"]:
            times = max(int(part["least"]), int(part["most"] or 0), 1)
            totals[-1], last[-1] = totals[-1] + last[-1] * (times - 1), last[-1] * times
        else:
            totals[-1], last[-1] = totals[-1] + 1, 1
    return sum(totals)
