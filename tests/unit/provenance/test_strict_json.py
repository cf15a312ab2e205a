"""JSON from strangers."""

from __future__ import annotations

import pytest

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import DEPTH_LIMIT, JsonObject, member, objects, parse_object
from tests.signing import error_of


def parse(raw: bytes, limit: int = 1_000_000) -> JsonObject:
    return parse_object(raw, what="the file", limit=limit, reason=Reason.StatementMalformed, too_large=Reason.BundleTooLarge)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":{"b":1,"b":1}}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":123456789012345678901234567890}', "64 bits"),
        (b'{"a":18446744073709551616}', "64 bits"),
        (b'{"a":' + b"9" * 5000 + b"}", "64 bits"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ('{"a":"é"}'.encode("latin-1"), "utf-8"),
        ('{"a":1}'.encode("utf-16"), "utf-8"),
        (b'{"a":"\\ud800"}', "surrogates"),
        (b'{"a":1} x', "Extra data"),
        (b"", "Expecting value"),
        (b"[]", "object belongs"),
        (b"null", "object belongs"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes, complaint: str) -> None:
    error = error_of(lambda: parse(raw))
    assert error.reason is Reason.StatementMalformed
    assert complaint in str(error)


def test_size_has_its_own_reason() -> None:
    assert error_of(lambda: parse(b'{"a":"' + b"x" * 100 + b'"}', limit=50)).reason is Reason.BundleTooLarge


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_depth_is_bounded_at_the_limit_and_not_below() -> None:
    assert parse(nested(DEPTH_LIMIT))
    assert "deeper" in str(error_of(lambda: parse(nested(DEPTH_LIMIT + 1))))


@pytest.mark.parametrize("raw", [b'{"a":' + b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"])
def test_a_depth_bomb_is_an_error_and_not_a_crash(raw: bytes) -> None:
    with pytest.raises(ProvenanceError):
        parse(raw)


@pytest.mark.parametrize("raw", [b'{"a":[' + b"{}," * 60_000 + b"{}]}", b'{"a":[' + b"1," * 110_000 + b"1]}"])
def test_the_number_of_values_is_bounded_before_they_are_built(raw: bytes) -> None:
    error = error_of(lambda: parse(raw))
    assert error.reason is Reason.BundleTooLarge
    assert "values" in str(error)


def test_integers_of_64_bits_are_kept_exactly() -> None:
    assert parse(b'{"a":18446744073709551615,"b":-9223372036854775808}') == {"a": 2**64 - 1, "b": -(2**63)}


@pytest.mark.parametrize(("raw", "kind"), [(b'{"a":true}', int), (b'{"a":true}', float), (b'{"a":1}', str), (b'{"a":null}', dict), (b'{"a":1.0}', int)])
def test_a_member_of_another_type_is_refused(raw: bytes, kind: type) -> None:
    assert "belongs" in str(error_of(lambda: member(parse(raw), "a", kind, where="file", reason=Reason.StatementMalformed)))


def test_an_integer_is_a_number() -> None:
    assert member(parse(b'{"a":1}'), "a", float, where="file", reason=Reason.StatementMalformed) == 1


def test_a_list_is_bounded_and_holds_objects_only() -> None:
    assert "at most 1" in str(error_of(lambda: objects([{}, {}], where="list", reason=Reason.StatementMalformed, limit=1)))
    assert "list[1]" in str(error_of(lambda: objects([{}, "x"], where="list", reason=Reason.StatementMalformed, limit=5)))
