"""A query as the policy has it, for one release: `$namespace`, `$release` and `$period` filled in.

Names come from tenants. They are filled in inside of string literals only, quoted as the literal they are in asks for it, and where the literal is a regular
expression (`=~`, `!~`) each character of them stands for itself: nobody gets at the numbers of others by the name of a release. A query that has a name
outside of a literal is refused. The grammar of literals and comments is that of PromQL (Prometheus documentation, "Querying basics": string literals follow
Go; backslash escapes in single and double quotes, none in backticks).
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Final

from sluice.scoring.drift.refused import DriftRefused

_TOKEN: Final = re.compile(r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|["'`]|[^#"'`]+""", re.DOTALL)
_NAMED: Final = re.compile(r"\$(namespace|release|period)\b")
_MATCHES: Final = re.compile(r"[=!]~\s*$")
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9_\u0080-\U0010ffff-]")
"""Escaped in a regular expression; RE2 takes a backslash before any punctuation of ASCII."""
_MILLISECOND: Final = timedelta(milliseconds=1)


def filled(promql: str, *, namespace: str, release: str, period: timedelta) -> str:
    """Give the query about one release, over the time `period`, which is at least a millisecond.

    Raises DriftRefused for a name outside of quotes, `$period` between them, a quote that does not end, and a name that cannot be written.
    """
    names = {"namespace": namespace, "release": release}
    written: list[str] = []
    for token in _TOKEN.findall(promql):
        match token[0]:
            case "#":
                continue  # a comment; what ends it is in the next token
            case '"' | "'" | "`" if len(token) == 1:
                raise DriftRefused(f"the query has a {token} that does not end")
            case '"' | "'" | "`" as quote:
                regex = bool(_MATCHES.search("".join(written)))
                written.append(_NAMED.sub(lambda named: _quoted(named[1], names, quote=quote, regex=regex), token))  # noqa: B023 - called at once
            case _:
                written.append(_NAMED.sub(lambda named: _duration(named[1], period), token))
    return "".join(written)


def _quoted(name: str, names: dict[str, str], *, quote: str, regex: bool) -> str:
    if name not in names:
        raise DriftRefused(f"the query has ${name} between quotes; write it as a duration, [${name}]")
    text = names[name]
    if regex:
        text = _SPECIAL.sub(lambda special: f"\\{special[0]}", text)
    if quote == "`":
        if "`" in text:
            raise DriftRefused(f"the {name} has a ` in its name, which cannot be written in a literal between backticks; take double quotes")
        return text
    # JSON escapes all that Go does, and writes what is not ASCII as Go reads it (a surrogate pair is no name).
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return escaped if quote == '"' else escaped.replace('\\"', '"').replace("'", "\\'")


def _duration(name: str, period: timedelta) -> str:
    if name != "period":
        raise DriftRefused(f'the query has ${name} outside of quotes; write it as {name}="${name}"')
    return f"{max(1, period // _MILLISECOND)}ms"
