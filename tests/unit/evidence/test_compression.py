"""Raw files may be compressed: what they hold is read, and what is cut short, goes on or comes to too much is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from backports import zstd

from sluice.evidence.harness import raw
from sluice.evidence.harness.raw import read_raw
from sluice.provenance.errors import Reason
from tests.signing import error_of
from tests.unit.evidence.test_own_formats import lines, metrics, samples

Compress = Callable[[bytes], bytes]
BOTH = pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])


@BOTH
def test_a_compressed_file_is_read_like_the_file(compress: Compress) -> None:
    for content in (lines(samples()), json.dumps(metrics()).encode()):
        assert read_raw("x", compress(content)) == read_raw("x", content)


@BOTH
def test_it_is_unpacked_once(compress: Compress) -> None:
    assert error_of(lambda: read_raw("x", compress(compress(lines(samples()))))).reason is Reason.RawResultMalformed


@BOTH
def test_a_bomb_is_not_unpacked(compress: Compress) -> None:
    fits, bomb = (compress(b" " * size) for size in (raw.BYTES_LIMIT, raw.BYTES_LIMIT + 1))
    assert "unpacks to more than" not in str(error_of(lambda: read_raw("x", fits)))
    assert "unpacks to more than" in str(error_of(lambda: read_raw("x", bomb)))


@BOTH
@pytest.mark.parametrize("change", [lambda packed: packed[:-1], lambda packed: packed[:9], lambda packed: packed + b"x", lambda packed: packed[:20] + b"xxxx"])
def test_what_is_cut_short_or_goes_on_is_refused(compress: Compress, change: Compress) -> None:
    assert error_of(lambda: read_raw("x", change(compress(lines(samples()))))).reason is Reason.RawResultMalformed
