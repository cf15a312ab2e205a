"""Events come out the same, however the bytes are cut into pieces."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.protocols.events import EventReader


def read(*pieces: bytes) -> list[bytes]:
    """The data of all events in these pieces."""
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_of_the_three_line_ends_ends_a_line(end: bytes) -> None:
    assert read(end.join([b"data: a", b"", b"data: b", b"", b""])) == [b"a", b"b"]


# The examples of the HTML Living Standard, section 9.2.6.
@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", [b"first event", b"second event", b" third event"]),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
    ],
)
def test_the_examples_of_the_standard_hold(stream: bytes, data: list[bytes]) -> None:
    assert read(stream) == data


def test_a_byte_order_mark_is_skipped_at_the_beginning_only() -> None:
    assert read(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_what_no_empty_line_ends_is_no_event() -> None:
    assert read(b"data: a\n\ndata: b\n") == [b"a"]


@pytest.mark.parametrize("line", [b"event: data", b"datum: a", b" data: a", b"Data: a", b":data: a"])
def test_other_fields_are_no_data(line: bytes) -> None:
    assert read(line + b"\n\n") == []


STREAMS = st.lists(st.sampled_from([b"data: ", b"data:", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"x", b"\xef\xbb\xbf", b"\xff"]), max_size=30).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 60), max_size=8))
def test_where_the_bytes_are_cut_changes_nothing(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(stream) == read(*(bytes([byte]) for byte in stream))


@pytest.mark.parametrize("pieces", [[b"\n" * 4_000_000], [b"x"] * 200_000, [b"data: x\n" * 500_000]], ids=["lines", "one line", "one event"])
def test_no_four_megabytes_take_long_to_read(pieces: list[bytes]) -> None:
    begun = time.process_time()
    assert read(*pieces) == []
    # Linear work takes tenths of a second; quadratic work would take minutes.
    assert time.process_time() - begun < 10
