"""A folder of binaries is there completely or not at all, and belongs to one set of pins."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster import build
from e2e.cluster.build import Unit
from e2e.cluster.narrate import Narrator, StepFailed

QUIET = Narrator(quiet=True)

# Stands in for the Go tool: `go build` writes a file per package; what it is told to do first is in the file `behaviour`.
FAKE_GO = """\
#!/bin/sh
set -eu
case "$1" in
env) echo go1.26.0; exit ;;
list) echo one; echo two; exit ;;
esac
echo compiled >> "$FAKE/builds"
. "$FAKE/behaviour"
while [ "$1" != -o ]; do shift; done
folder=$2; shift 2
for package; do echo "$package" > "$folder/${package##*/}"; done
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "go").write_text(FAKE_GO)
    (tmp_path / "go").chmod(0o755)
    (tmp_path / "behaviour").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build._go.cache_clear()
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.test\n")
    (module / "go.sum").write_text("")
    yield tmp_path
    # What it said of itself would decide where this process looks for the programs of a real cluster, and build them all again there.
    build._go.cache_clear()


def unit(fake: Path, **variables: str) -> Unit:
    programs = {"first": "example.test/first", "second": "example.test/second"}
    return Unit(name="example", folder=fake / "module", programs=programs, variables=variables)


def builds(fake: Path) -> int:
    log = fake / "builds"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_what_is_built_is_not_built_again(fake: Path) -> None:
    for _ in range(2):
        build.build([unit(fake)], narrator=QUIET)
    assert builds(fake) == 1
    assert (build.unit_folder(unit(fake)) / "second").read_text() == "example.test/second\n"


def test_build_tags_are_another_folder_and_none_change_nothing(fake: Path) -> None:
    plain = unit(fake)
    assert plain.selection == []
    assert plain.flags == ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
    tagged = replace(plain, tags=("small", "quiet"))
    assert tagged.flags[-1] == "-tags=small,quiet"
    assert build.unit_folder(tagged) != build.unit_folder(plain)


def test_a_changed_pin_source_or_link_variable_is_another_folder(fake: Path) -> None:
    before = build.unit_folder(unit(fake))
    assert build.unit_folder(unit(fake, version="v2")) != before
    (fake / "module" / "go.sum").write_text("example.test v1.0.0 h1:x\n")
    after_pin = build.unit_folder(unit(fake))
    (fake / "module" / "main.go").write_text("package main\n")
    assert len({before, after_pin, build.unit_folder(unit(fake))}) == 3


def test_a_failed_build_counts_as_not_built_and_shows_the_logs_end(fake: Path) -> None:
    (fake / "behaviour").write_text("echo undefined: everything >&2; exit 1\n")
    with pytest.raises(StepFailed, match=r"compilation of example failed(.|\n)*undefined: everything"):
        build.build([unit(fake)], narrator=QUIET)
    assert not build.unit_folder(unit(fake)).exists()
    (fake / "behaviour").write_text("")
    build.build([unit(fake)], narrator=QUIET)
    assert build.unit_folder(unit(fake)).is_dir()


def test_a_killed_build_counts_as_not_built_ends_its_compiler_and_is_cleared_away(fake: Path) -> None:
    (fake / "behaviour").write_text('mkdir "$FAKE/started"; echo $$ > "$FAKE/pid"; mv "$FAKE/pid" "$FAKE/compiler"; exec sleep 60\n')
    script = "import sys; from tests.unit.local_cluster.test_build import *; build.build([unit(Path(sys.argv[1]))], narrator=QUIET)"
    with subprocess.Popen([sys.executable, "-c", script, fake], cwd=Path(__file__).parents[3]) as process:
        wait_for((fake / "compiler").exists)
        process.kill()
    compiler = Path("/proc") / (fake / "compiler").read_text().strip()
    wait_for(lambda: not compiler.exists() or "\nState:\tZ" in (compiler / "status").read_text())
    folder = build.unit_folder(unit(fake))
    assert not folder.exists()
    (fake / "behaviour").write_text("")
    build.build([unit(fake)], narrator=QUIET)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_without_go_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    build._go.cache_clear()
    monkeypatch.setenv("PATH", str(fake / "module"))
    with pytest.raises(StepFailed, match=r"install Go 1\.26 or newer"):
        build.unit_folder(unit(fake))


@pytest.mark.parametrize(
    ("told", "builds_it"),
    [("go1.19.8", False), ("go1.24.1 local", False), ("go1.24.1 auto", True), ("go1.26.0 local", True), ("go1.27rc1 auto", True), ("devel", True)],
)
def test_an_old_go_is_named_before_it_stumbles_over_a_file_of_ours(fake: Path, told: str, builds_it: bool) -> None:
    (fake / "go").write_text(FAKE_GO.replace("echo go1.26.0", f"printf '%s\\n' {told}"))
    if builds_it:
        build.build([unit(fake)], narrator=QUIET)
        return
    with pytest.raises(StepFailed, match=rf"is {told.split(maxsplit=1)[0]}: install Go 1\.26 or newer"):
        build.build([unit(fake)], narrator=QUIET)
    assert builds(fake) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
