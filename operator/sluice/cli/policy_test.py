"""`sluice policy test`: cases in files, with the verdicts that they are to get, as tests of a program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice.cli.answers import as_text
from sluice.cli.desk import FILES, Desk, manifests_below
from sluice.cli.verify import CannotTell, answering, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sluice.cli.policy_cases import PolicyTest
    from sluice.cli.policy_trial import Difference

_OUTPUTS: Final = ["table", "json", "yaml", "junit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One case, and what came out otherwise than expected."""

    path: Path
    test: str
    name: str
    release: str
    differences: tuple[Difference, ...]


@click.command("test")
@click.argument("files", type=FILES, nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", type=click.Choice(_OUTPUTS), default="table", show_default=True, help="How to print the answer.")
def try_cases(*, files: tuple[Path, ...], output: str) -> None:
    """Try the cases of PolicyTest files, or of all below folders: whether each verdict is what it is to be.

    \b
      sluice policy test policy-tests/
      sluice policy test policy-tests/ -o junit > policy.xml

    \b
      apiVersion: cli.sluice.dev/v1alpha1
      kind: PolicyTest
      metadata: {name: production}
      files: [../policy.yaml, ../trust.yaml, release.yaml]
      now: "2026-11-21T12:00:00Z"
      cases:
      - name: without its signature a release waits for evidence
        release: payments/churn-2-1-0
        patch: [{kind: ReleaseEvidence, name: churn-2-1-0-weights, remove: true}]
        expect: {phase: AwaitingEvidence, requirements: {weights-signed: {outcome: Missing}}}

    Nothing is asked of any cluster. What a case changes is put back after it.

    \b
    Ends with  0  every verdict is as expected
               1  some are not; expected and got are printed
               2  usage
               3  could not tell: a file that cannot be read, a case of what is not there
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.cli.policy_cases import KIND, read_cases  # noqa: PLC0415 - see the package

    with answering("json" if output == "junit" else output):
        tests = [(path, test) for named in files for path in manifests_below(named) for test in read_cases(path)]
        if not tests:
            raise CannotTell(f"there is no {KIND} in {', '.join(map(str, files))}; sluice policy test --help shows one")
        tried = [case for path, test in tests for case in _tried(path, test)]
        _print(tried, output)
        if any(case.differences for case in tried):
            raise click.exceptions.Exit(1)


def _tried(path: Path, test: PolicyTest) -> Iterator[Tried]:
    from sluice.cli.policy_trial import differences  # noqa: PLC0415 - see the package

    desk = Desk.laid_out(files=[path.parent / named for named in test.files], namespace=test.namespace, cluster=None)
    if test.whole_cluster:
        desk.world.listed_all()
    for case in test.cases:
        try:
            found = differences(desk, case, now=test.now)
        except CannotTell as error:
            raise CannotTell(f"{path}: {error.message}") from None
        yield Tried(path=path, test=test.metadata.name, name=case.name, release=case.release, differences=found)


def _print(tried: Sequence[Tried], output: str) -> None:
    if output == "junit":
        click.echo(_as_junit(tried))
    elif output == "table":
        _table(tried)
    else:
        click.echo(as_text(_as_objects(tried), output))


def _table(tried: Sequence[Tried]) -> None:
    # Messages quote signers and files: nothing in them is markup, a link or an emoji.
    console = Console(markup=False, highlight=False, emoji=False)
    for path, test in dict.fromkeys((case.path, case.test) for case in tried):
        console.print(Text(f"{test}  ", style="bold").append(str(path), style="dim"))
        for case in (case for case in tried if (case.path, case.test) == (path, test)):
            mark = Text("  ✗ ", style="red") if case.differences else Text("  ✓ ", style="green")
            console.print(mark.append(plain(case.name), style="").append(f"  {case.release}", style="dim"), soft_wrap=True)
            if case.differences:
                table = Table("      ", "expected", Column("got", overflow="fold"), box=None, pad_edge=False)
                for each in case.differences:
                    table.add_row(f"      {plain(each.what)}", plain(each.expected), plain(each.got))
                console.print(table)
    right = sum(not case.differences for case in tried)
    console.print(f"{right} of {len(tried)} {'case' if len(tried) == 1 else 'cases'} as expected", style="bold")


def _as_objects(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    return [
        {
            "file": case.path.as_posix(),
            "test": case.test,
            "case": case.name,
            "release": case.release,
            "passes": not case.differences,
            "differences": [{"what": each.what, "expected": each.expected, "got": each.got} for each in case.differences],
        }
        for case in tried
    ]


def _as_junit(tried: Sequence[Tried]) -> str:
    """Write JUnit XML: a suite for each PolicyTest."""
    root = ET.Element("testsuites", name="sluice policy test")
    for path, test in dict.fromkeys((case.path, case.test) for case in tried):
        cases = [case for case in tried if (case.path, case.test) == (path, test)]
        wrong = sum(bool(case.differences) for case in cases)
        suite = ET.SubElement(root, "testsuite", name=test, tests=str(len(cases)), failures=str(wrong), skipped="0", errors="0")
        for case in cases:
            element = ET.SubElement(suite, "testcase", classname=test, name=plain(case.name), file=path.as_posix())
            if case.differences:
                told = [plain(f"{each.what}: expected {each.expected}, got {each.got}") for each in case.differences]
                ET.SubElement(element, "failure", type="Difference", message=told[0]).text = "\n".join(told)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")
