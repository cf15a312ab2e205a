"""What documents name is there: files and headings that links lead to, commands and their options, metrics, paths, what benchmarks take.

Design notes are dated: their links have to lead somewhere, and what they say of the code was true then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sluice.cli import main

CHECKOUT = Path(__file__).parents[2]
LIVING = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])
ALL = [*LIVING, *sorted((CHECKOUT / "docs" / "design").glob("*.md"))]
FOLDERS = ("operator", "tests", "e2e", "benchmarks", "docs", "charts", "scripts", "examples", "crds")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
COMMAND = re.compile(r"(?<![\w./-])sluice((?: [a-z][a-z-]*)+)([^\n`|;#]*)")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
METRIC = re.compile(r"\bsluice_[a-z_]+\b")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`")


def name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def anchors(path: Path) -> set[str]:
    """The fragments under which the headings of a document are reached, as forges make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(path.read_text())}


def commands(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield f"{before} {word}".strip(), command
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {word}".strip())


@pytest.mark.parametrize("document", ALL, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    lost = []
    for link in LINK.findall(document.read_text()):
        place, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = document.parent / place if place else document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("document", LIVING, ids=name)
def test_every_command_takes_the_options_that_it_is_shown_with(document: Path) -> None:
    known = dict(commands())
    wrong = []
    for words, rest in COMMAND.findall(document.read_text()):
        called = next((" ".join(words.split()[:count]) for count in (3, 2, 1) if " ".join(words.split()[:count]) in known), None)
        if called is not None:
            taken = {"-h", "--help", *(option for each in known[called].params for option in (*each.opts, *each.secondary_opts))}
            wrong += [f"{called} {option}" for option in OPTION.findall(rest) if option not in taken]
    assert wrong == []


def test_commands_are_found_in_documents_at_all() -> None:
    found = {words.split()[0] for document in LIVING for words, _ in COMMAND.findall(document.read_text())}
    assert found >= {"approve", "canary", "verify", "sign", "drill", "trust"}


def test_every_metric_and_path_that_a_document_names_is_there() -> None:
    source = "\n".join(path.read_text() for path in (CHECKOUT / "operator").rglob("*.py"))
    made = set(METRIC.findall(source))
    wrong = []
    for document in LIVING:
        text = document.read_text()
        wrong += [
            (name(document), metric) for metric in METRIC.findall(text) if metric not in made and re.sub(r"_(total|count|sum|bucket)$", "", metric) not in made
        ]
        wrong += [(name(document), path) for path in PATH.findall(text) if "NNNN" not in path and not (CHECKOUT / path).exists()]
    assert wrong == []


def test_every_benchmark_has_a_short_form_and_writes_its_figures() -> None:
    programs = [path for path in (CHECKOUT / "benchmarks").glob("*.py") if "__main__" in path.read_text()]
    assert len(programs) > 5
    assert [name(path) for path in programs if '"--quick"' not in path.read_text() or '"--json"' not in path.read_text()] == []
