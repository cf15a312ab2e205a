"""Pages of comparisons as tests read them: drawn once for each run, because drawing is slow, and taken apart."""

from __future__ import annotations

import json
from functools import cache
from html.parser import HTMLParser

from sluice.cli.report.numbers import read_run
from sluice.cli.report.page import page
from tests.unit.cli.canary_runs import Object

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Elements(HTMLParser):
    """Every element and attribute, the text, and that what is opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def _page_of(text: str) -> str:
    return page(read_run(json.loads(text)), None)


def alone(of: Object) -> str:
    """The page of a run without its statistics."""
    return _page_of(json.dumps(of))
