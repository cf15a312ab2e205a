"""The package installs as what it says: its own name, its own dependencies, and never the standard library's `operator`."""

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]

ORIGIN = "import operator; print(operator.__file__); operator.itemgetter(0)"


def names_of(lines: list[str]) -> set[str]:
    """Names of the distributions that requirement lines ask for, in the form in which names are compared."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line)[0]).lower() for line in lines if line and not line.startswith("#")}


def origin_of_operator(*options: str, cwd: Path) -> Path:
    """Ask a fresh interpreter in `cwd` where its `operator` comes from."""
    answer = subprocess.run([sys.executable, *options, "-c", ORIGIN], cwd=cwd, capture_output=True, text=True, check=True, timeout=60)
    return Path(answer.stdout.strip()).resolve()


@pytest.mark.parametrize("options", [(), ("-S",), ("-I",)], ids=["as usual", "without site-packages", "isolated"])
def test_operator_is_the_standard_library_when_the_checkout_is_on_the_path(options: tuple[str, ...]) -> None:
    assert origin_of_operator(*options, cwd=CHECKOUT) == (STANDARD_LIBRARY / "operator.py").resolve()


def test_operator_holds_no_module_that_could_be_imported_by_that_name() -> None:
    assert not (CHECKOUT / "operator" / "__init__.py").exists()


def test_sluice_is_imported_from_the_checkout() -> None:
    import sluice  # noqa: PLC0415 - the import is what is tested

    assert Path(sluice.__file__).is_relative_to(CHECKOUT / "operator")


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    modules = {
        module.split(".")[0]
        for path in (CHECKOUT / "operator" / "sluice").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module in ([name.name for name in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }
    # pydantic pins its core to one exact version and names errors from it in its own interface.
    foreign = modules - sys.stdlib_module_names - {"sluice", "pydantic_core"}
    distributions = packages_distributions()
    assert names_of([distribution for module in foreign for distribution in distributions[module]]) == names_of(
        [*PROJECT["dependencies"], *(name for extra in PROJECT["optional-dependencies"].values() for name in extra)]
    )


def test_what_is_declared_is_what_is_pinned() -> None:
    pinned = (CHECKOUT / "requirements" / "runtime.in").read_text().splitlines()
    assert names_of(pinned) == names_of(PROJECT["dependencies"])


def test_the_webhook_starts_without_numpy_and_without_what_scores_answers() -> None:
    program = "import sys, sluice.webhook.run; print({'numpy', 'jsonschema', 'sluice.scoring.scorers.refusal_phrases'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "set()"
