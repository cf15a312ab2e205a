"""The tree keeps its promises: nothing of the machine it was written on, no unfinished work, and every package says what it is for.

Looks at the files that git tracks or would track, so that a mistake shows before it is committed. Words that must not occur are put
together from halves here, or this file would be the first to be found.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LARGEST_MODULE = 400
"""Lines. A module that grows past this has more than one reason to exist."""

REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "proxy.go" + "lang.org",
    "sum.go" + "lang.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
    "maven" + ".org",
    "maven" + ".apache.org",
    "deb.deb" + "ian.org",
    "security.deb" + "ian.org",
    "archive.ubu" + "ntu.com",
    "hub.dock" + "er.com",
    "registry-1.dock" + "er.io",
]
# Patterns begin with a letter that they search for: one that begins with what must not come before it is searched for ten times slower.
HOME_FOLDERS = re.compile(r"/(?<![\w.}~-]/)(?:work|root|home|Users)/")
UNFINISHED = re.compile(
    "|".join(
        [
            "TO" + r"DO\b",
            "FIX" + r"ME\b",
            "NotImplemented" + "Error",
            r"mark\.(?:sk" + "ip|x" + "fail)",
            r"pytest\.sk" + r"ip\(",
            "pragma: no" + " cover",
        ]
    )
)

GENERATED = re.compile(r"Generated from operator/sluice\S* by `make [a-z-]+`\. Do not edit\.")

PURE_PACKAGES = ["api", "provenance", "evidence", "decision"]
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time"), ("time", "monotonic")}
MAY_READ_A_CLOCK = re.compile(rf"(?:{'|'.join(sorted({module for module, _ in CLOCKS}))})\W+(?:{'|'.join(sorted({name for _, name in CLOCKS}))})\b")
"""Finds more than clocks (`in time, now ...`): what has none of it need not be parsed."""


def files(*patterns: str) -> list[Path]:
    """Every file that git tracks, or would with the next `git add`, whose path matches one of `patterns` (all files: none given)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := CHECKOUT / name).is_file()]


@cache
def content_of(path: Path) -> str:
    """Return the text of a file, for all the tests that look through every file; "" for one that holds no text."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def lines_that_match(pattern: re.Pattern[str], *patterns: str) -> list[str]:
    """`path:line` of each text line that matches, relative to the checkout."""

    def found() -> Iterator[str]:
        for path in files(*patterns):
            content = content_of(path)
            if not pattern.search(content):
                # Nearly every file. No pattern looks at where a line begins or ends: what no whole file has, none of its lines has.
                continue
            for number, line in enumerate(content.splitlines(), start=1):
                if pattern.search(line):
                    yield f"{path.relative_to(CHECKOUT)}:{number}"

    return list(found())


PYTHON = ["operator/*.py", "e2e/*.py", "tests/*.py"]
PACKAGES = sorted({path.parent for path in files(*PYTHON)})


def test_the_tree_is_seen_at_all() -> None:
    assert len(files("operator/**/*.py")) > 10


def test_no_file_names_a_package_registry() -> None:
    assert lines_that_match(re.compile("|".join(map(re.escape, REGISTRY_HOSTS)))) == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    assert lines_that_match(HOME_FOLDERS) == []


def test_no_pinned_list_says_where_packages_come_from() -> None:
    assert lines_that_match(re.compile(r"://|--(?:index-url|extra-index-url|find-links|trusted-host)"), "requirements/*.txt") == []


@pytest.mark.parametrize("path", files("requirements/*.txt"), ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    entries = re.split(r"(?<!\\)\n(?=\S)", path.read_text())
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert packages
    assert [entry.splitlines()[0] for entry in packages if not re.match(r"[\w.\[\],-]+==\S+", entry) or "--hash=sha256:" not in entry] == []


def test_nothing_is_left_unfinished_or_skipped() -> None:
    assert lines_that_match(UNFINISHED, *PYTHON) == []


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_package_says_what_it_is_for(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    # What comes in, what goes out, what it may import; a folder of tests has said enough when it names its subject.
    assert len(docstring.splitlines()) >= (3 if folder.is_relative_to(CHECKOUT / "operator") else 1)


def test_no_module_is_too_long_to_have_one_reason_to_exist() -> None:
    lengths = {str(path.relative_to(CHECKOUT)): len(content_of(path).splitlines()) for path in files(*PYTHON)}
    assert {name: length for name, length in lengths.items() if length > LARGEST_MODULE} == {}


def test_generated_files_say_so_and_how() -> None:
    silent = [str(path.relative_to(CHECKOUT)) for path in files("crds/*.yaml", "docs/reasons.md") if not GENERATED.search(path.read_text()[:200])]
    assert silent == []


def test_every_make_target_that_a_text_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {
        (str(path.relative_to(CHECKOUT)), target)
        for path in files("*.md", "*.py", "*.yaml", "*.toml", "*.tpl", "requirements/*")
        for target in re.findall(r"`make ([a-z-]+)", path.read_text())
    }
    assert {target for _, target in named} >= {"crds", "test", "demo"}
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_what_decides_reads_no_clock() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for package in PURE_PACKAGES
        for path in files(f"operator/sluice/{package}/*.py")
        if MAY_READ_A_CLOCK.search(content_of(path))
        for node in ast.walk(ast.parse(content_of(path)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in CLOCKS
    ]
    assert found == []
