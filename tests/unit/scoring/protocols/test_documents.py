"""Bytes of a stranger become JSON within bounds, or a reason."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.answer import Failure
from sluice.scoring.case import Json
from sluice.scoring.protocols.documents import OTHER_VALUES, parse
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered

LIMITS = Limits(tensor_elements=100, json_depth=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def failure(raw: bytes) -> Failure:
    """Why `raw` is not read."""
    with pytest.raises(Unanswered) as unread:
        parse(raw, what="the answer", limits=LIMITS)
    return unread.value.failure


@given(JSON, st.booleans())
def test_what_python_writes_is_read_as_it_was(value: Json, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode(), what="the answer", limits=Limits()) == value


@given(st.binary() | st.text().map(str.encode) | st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"1", b"\\ud800"])).map(b"".join))
def test_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        value = parse(raw, what="the answer", limits=LIMITS)
    except Unanswered as error:
        assert error.failure in {Failure.MALFORMED, Failure.TOO_LARGE}  # noqa: PT017 - either way is right
    else:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def test_depth_is_bounded_at_the_limit_exactly() -> None:
    assert parse(b"[" * 5 + b"]" * 5, what="the answer", limits=LIMITS) == [[[[[]]]]]
    assert failure(b"[" * 6 + b"]" * 6) is Failure.MALFORMED
    assert failure(b'{"a":' * 6 + b"1" + b"}" * 6) is Failure.MALFORMED


def test_values_are_bounded_at_the_limit_exactly() -> None:
    most = LIMITS.tensor_elements + OTHER_VALUES
    assert parse(json.dumps([0] * most).encode(), what="the answer", limits=LIMITS) == [0] * most
    assert failure(json.dumps([0] * (most + 1)).encode()) is Failure.TOO_LARGE


def test_brackets_and_commas_in_a_string_are_text() -> None:
    text = '[{,"\\' * 20_000
    assert parse(json.dumps(text).encode(), what="the answer", limits=LIMITS) == text


@pytest.mark.parametrize("raw", [b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1" * 21, str(2**64).encode(), str(-(2**63) - 1).encode()])
def test_a_number_that_others_cannot_read_is_malformed(raw: bytes) -> None:
    assert failure(raw) is Failure.MALFORMED


@pytest.mark.parametrize("raw", [b'"\\ud800"', b'{"\\udfff": 1}', b'"\\ud800\\ud800"', b'"\xff"', b"\xed\xa0\x80", b"\xef\xbb\xbf1"])
def test_text_without_a_utf8_form_is_malformed(raw: bytes) -> None:
    assert failure(raw) is Failure.MALFORMED


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse(b'"\\ud83d\\ude00"', what="the answer", limits=LIMITS) == "😀"


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 2_000_000, b'"\\' * 2_000_000, b'"' * 4_000_000, b"[" * 4_000_000, b"\\" * 4_000_000])
def test_no_four_megabytes_take_long_to_refuse(raw: bytes) -> None:
    begun = time.process_time()
    assert failure(raw) in {Failure.MALFORMED, Failure.TOO_LARGE}
    # Linear work is below half a second; quadratic work would be hours.
    assert time.process_time() - begun < 10
