"""What verification came to is kept, within bounds, and says nothing that a second verification would not say."""

from __future__ import annotations

import pytest

from sluice.evidence.fact_cache import Check, FactCache
from sluice.evidence.facts import Fact, content_digest
from sluice.provenance.errors import ProvenanceError, Reason
from tests.signing import anchors, bundle


def check_of(raw: bytes, **attachments: bytes) -> Check:
    return Check.of(content_digest(raw, attachments), raw, attachments, anchors())


def junk(number: int, size: int = 10) -> Check:
    return check_of(str(number).rjust(size).encode())


OUTCOME = ProvenanceError(Reason.BundleMalformed, "no")


def test_a_check_comes_to_a_fact_or_to_an_error_and_raises_neither() -> None:
    assert isinstance(check_of(bundle()).verify(), Fact)
    refused = check_of(b"{").verify()
    assert isinstance(refused, ProvenanceError)
    assert refused.reason is Reason.BundleMalformed


def test_whatever_a_library_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> Fact:
        raise RecursionError("so deep")

    monkeypatch.setattr("sluice.evidence.fact_cache.establish", explode)
    refused = check_of(b"{}").verify()
    assert isinstance(refused, ProvenanceError)
    assert "RecursionError: so deep" in str(refused)


def test_an_error_holds_no_frame_and_so_none_of_the_bytes_that_it_was_raised_over() -> None:
    refused = check_of(b'{"mediaType": 7}').verify()
    assert isinstance(refused, ProvenanceError)
    assert (refused.__traceback__, refused.__cause__, refused.__context__) == (None, None, None)


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    cache, checks = FactCache(most=3), [junk(number) for number in range(4)]
    for check in checks[:3]:
        cache.put(check, OUTCOME)
    assert cache.get(checks[0].key) is OUTCOME
    cache.put(checks[3], OUTCOME)
    assert [cache.get(check.key) is not None for check in checks] == [True, False, True, True]


def test_the_bytes_behind_what_is_kept_are_bounded() -> None:
    cache, checks = FactCache(most_bytes=100), [junk(number, size=40) for number in range(3)]
    for check in checks:
        cache.put(check, OUTCOME)
        cache.put(check, OUTCOME)
        assert cache.size <= 100
    assert [cache.get(check.key) is not None for check in checks] == [False, True, True]
    cache.put(junk(9, size=101), OUTCOME)
    assert (len(cache), cache.size) == (0, 0), "what is larger than all is not kept, and counted no more"
