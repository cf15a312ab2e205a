"""The folder `operator/` never stands in for the standard library's module of that name."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))

ORIGIN = "import operator; print(operator.__file__); operator.itemgetter(0)"


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
