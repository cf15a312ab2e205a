"""Where processes share the tests, each test runs once, and one process alone imports what computes."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
NOTES_WHO = """
import os

def note(what):
    with open(os.environ["NOTES"], "a") as notes: notes.write(f"{what} {__name__} {os.environ.get('PYTEST_XDIST_WORKER')}\\n")

note("import")

def test_one(): note("run")

def test_two(): note("run")

def test_three(): note("run")
"""


def shared_out(folder: Path, *names: str, suites: tuple[str, ...] = ("tests",)) -> list[list[str]]:
    """What each of two processes did with these test files: `import` or `run`, module, process."""
    for name in names:
        file = folder / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(NOTES_WHO)
    notes = folder / "notes"
    notes.touch()
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-pxdist", "-ptests.scheduling", "-pno:cacheprovider", "-q", "-n2", "--no-loadscope-reorder", *suites]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "NOTES": str(notes), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for inherited in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        environment.pop(inherited, None)
    done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert re.search(rf"^{3 * len(names)} passed", done.stdout, re.MULTILINE), done.stdout + done.stderr
    return [line.split() for line in notes.read_text().splitlines()]


def test_each_test_runs_once_and_one_process_imports_what_computes(tmp_path: Path) -> None:
    notes = shared_out(tmp_path, "unit/test_u.py", "unit/test_v.py", "cluster/test_c.py", "cluster/test_d.py", "faults/test_f.py")
    assert len([what for what, _, _ in notes if what == "run"]) == 15
    assert len({process for _, module, process in notes if module in {"test_u", "test_v"}}) == 1
    assert len({process for what, module, process in notes if what == "import" and module == "test_c"}) == 2


def test_more_processes_than_work_are_no_obstacle(tmp_path: Path) -> None:
    notes = shared_out(tmp_path, "unit/test_u.py", suites=("tests/unit",))
    assert sorted(what for what, _, _ in notes) == ["import", "run", "run", "run"]
