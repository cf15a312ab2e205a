"""Nothing but the error tree leaves."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sluice.provenance.errors import ProvenanceError, Reason, closed
from tests.signing import error_of


class PanicException(BaseException):
    pass


def fail(error: BaseException) -> None:
    with closed(Reason.SignatureInvalid, "it does not verify"):
        raise error


@pytest.mark.parametrize("error", [TypeError("x"), ValueError(), RecursionError(), MemoryError(), KeyError("k"), PanicException("index out of bounds")])
def test_whatever_a_library_raises_becomes_a_reason(error: BaseException) -> None:
    caught = error_of(lambda: fail(error))
    assert caught.reason is Reason.SignatureInvalid
    assert str(caught).startswith("it does not verify: ")


def test_a_reason_that_is_known_is_kept() -> None:
    assert error_of(lambda: fail(ProvenanceError(Reason.KeyUnknown, "no such key"))).reason is Reason.KeyUnknown


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_pass(error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail(error())


def test_what_a_library_says_is_quoted_on_one_bounded_printable_line() -> None:
    message = str(error_of(lambda: fail(ValueError("two\nlines \x1b[31m" + "x" * 5000))))
    assert message.isprintable()
    assert len(message) < 400


def test_every_code_is_explained_once_with_what_to_do() -> None:
    """Whoever meets one in a status looks there."""
    section = (Path(__file__).parents[3] / "docs" / "verification.md").read_text().partition("## Codes")[2].partition("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| `")]
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    assert Counter(code for row in rows for code in re.findall(r"`(\w+)`", row[0])) == Counter([*Reason, "Base64Malformed", "TrustRootMissing"])
