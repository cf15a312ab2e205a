"""Logs of Inspect: real ones of two versions are read, what is not whole is refused, and an archive cannot make us unpack more than we said."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from backports.zstd import CompressionParameter, ZstdCompressor, compress
from backports.zstd.zipfile import ZIP_ZSTANDARD
from backports.zstd.zipfile import ZipFile as NewerZipFile

from sluice.evidence.harness import archive
from sluice.evidence.harness.archive import Archive
from sluice.evidence.harness.raw import read_raw
from sluice.provenance.errors import ProvenanceError, Reason
from tests.signing import Json, error_of

FILES = Path(__file__).with_name("files")
LOGS = sorted(FILES.glob("inspect-*.eval"))


@cache
def members(path: Path = LOGS[-1]) -> dict[str, bytes]:
    """The members of a real log, read by the standard library of a newer Python."""
    with NewerZipFile(path) as log:
        return {name: log.read(name) for name in log.namelist()}


def packed(contents: dict[str, bytes], *, method: int = ZIP_ZSTANDARD) -> bytes:
    file = io.BytesIO()
    with NewerZipFile(file, "w", compression=method) as log:
        for name, content in contents.items():
            log.writestr(name, content)
    return file.getvalue()


def document() -> dict[str, Json]:
    """The same log as one JSON document."""
    parts = members()
    samples = [json.loads(content) for name, content in parts.items() if name.startswith("samples/")]
    return json.loads(parts["header.json"]) | {"samples": samples, "reductions": json.loads(parts["reductions.json"])}  # type: ignore[no-any-return]


def measured(raw: bytes) -> dict[tuple[str, str], tuple[float, int]]:
    return {(each.metric, each.slice): (each.value, each.samples) for each in read_raw("log", raw)}


def changed(name: str, edit: Callable[[Json], object]) -> bytes:
    content = json.loads(members()[name])
    edit(content)
    return packed(members() | {name: json.dumps(content).encode()})


def refusal(raw: bytes) -> ProvenanceError:
    return error_of(lambda: read_raw("log", raw))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_logs_that_two_versions_wrote_are_read(path: Path) -> None:
    read = read_raw(path.name, path.read_bytes())
    assert {(each.metric, each.slice): (each.value, each.samples) for each in read} == {
        # Sample 3 was answered right in one of its two epochs.
        ("match", ""): (0.6875, 8),
        ("match", "region=DACH"): (0.75, 4),
        ("match", "region=UK"): (0.625, 4),
        ("two/a", ""): (0.625, 8),
        ("two/a", "region=DACH"): (1.0, 4),
        ("two/a", "region=UK"): (0.25, 4),
        **dict.fromkeys([("two/b", "region=DACH"), ("two/b", "region=UK")], (1.0, 4)),
        ("two/b", ""): (1.0, 8),
    }
    whole = read[0]
    assert (whole.suite, whole.harness, f"inspect-{whole.harness_version}.eval") == ("sums", "inspect", path.name)
    stated = json.loads(members(path)["header.json"])["results"]["scores"][0]["metrics"]["stderr"]["value"]
    assert whole.stderr == pytest.approx(stated)


def test_the_versions_compress_differently() -> None:
    methods = {member.method for path in LOGS for member in Archive(path.read_bytes()).members.values()}
    assert methods == {8, 93}


def test_the_json_form_comes_to_the_same() -> None:
    assert measured(json.dumps(document()).encode()) == measured(LOGS[-1].read_bytes())


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: d.update(status="error"), "status 'error'"),
        (lambda d: d.update(status="started"), "status 'started'"),
        (lambda d: d.update(invalidated=True), "invalidated"),
        (lambda d: d["eval"]["config"].update(limit=5), "limit 5"),
        (lambda d: d["eval"]["config"].update(sample_id=["1"]), "sample_id"),
        (lambda d: d["results"].update(early_stopping={"manager": "x"}), "early stopping"),
        (lambda d: d["results"].update(completed_samples=15), "15 of 16"),
        (lambda d: d["results"].update(completed_samples=15, total_samples=15), "15 of 16"),
        (lambda d: d["eval"]["dataset"].update(samples=9), "16 of 18"),
        (lambda d: d["eval"]["config"].pop("epochs"), "16 of 8"),
    ],
)
def test_a_run_that_is_not_whole_says_what_is_missing(edit: Callable[[Json], object], complaint: str) -> None:
    error = refusal(changed("header.json", edit))
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    ("name", "edit", "complaint"),
    [
        ("summaries.json", lambda d: d[0].update(error="boom"), "sample 0 ended with an error"),
        ("summaries.json", lambda d: d[0].update(limit="operator"), "sample 0 was stopped by hand"),
        ("summaries.json", lambda d: d[0]["scores"]["match"].update(history=[{"value": "C"}]), "sample 0 was edited"),
        ("summaries.json", lambda d: [d.pop(0) for _ in range(2)] and d.pop(6), "of 8 samples"),
        ("reductions.json", lambda d: d[0]["samples"].pop(), "'match' scored 7 of 8"),
        ("reductions.json", lambda d: d[0]["samples"].append(d[0]["samples"][0]), "'match' scored 9 of 8"),
        ("reductions.json", lambda d: d.append(d[0]), "is there twice"),
        ("reductions.json", lambda d: d.clear(), "0 scorers"),
    ],
)
def test_samples_that_are_missing_or_were_touched_spoil_the_log(name: str, edit: Callable[[Json], object], complaint: str) -> None:
    error = refusal(changed(name, edit))
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


def test_a_sample_that_was_invalidated_spoils_the_log() -> None:
    log = document()
    log["samples"][0]["invalidation"] = {"author": "x", "reason": "wrong key"}
    assert "sample 0 ended with an error, or was invalidated" in str(refusal(json.dumps(log).encode()))


def test_a_sample_that_ran_into_a_limit_of_the_task_is_a_sample() -> None:
    assert measured(changed("summaries.json", lambda d: d[0].update(limit="token"))) == measured(packed(members()))


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("header.json", lambda d: d.update(version=3)),
        ("header.json", lambda d: d["results"]["scores"][0]["metrics"]["accuracy"].update(value=0.69)),
        ("header.json", lambda d: d["results"]["scores"][1]["metrics"]["mean"].update(value=0.99)),
        ("header.json", lambda d: d["results"]["scores"][0].update(name="unknown")),
        ("header.json", lambda d: d["eval"].update(task="")),
        ("header.json", lambda d: d["eval"]["packages"].clear()),
        ("reductions.json", lambda d: d[0]["samples"][0].update(value="C")),
        ("reductions.json", lambda d: d[0]["samples"][0].update(value=True)),
        ("reductions.json", lambda d: d[0]["samples"][0].update(value={"a": None})),
        ("reductions.json", lambda d: d[0]["samples"][0].update(sample_id=99)),
        ("reductions.json", lambda d: d[0]["samples"][0].update(sample_id="0")),
        ("reductions.json", lambda d: d[0].update(scorer="a\nb")),
        ("reductions.json", lambda d: d[1]["samples"][0]["value"].update({"a\nb": 1})),
    ],
)
def test_a_log_that_we_do_not_understand_is_malformed(name: str, edit: Callable[[Json], object]) -> None:
    assert refusal(changed(name, edit)).reason is Reason.RawResultMalformed


def test_scores_of_another_reducer_have_another_name() -> None:
    def reduce(content: Json) -> None:
        for each in content if isinstance(content, list) else content["results"]["scores"]:
            each["reducer"] = "pass_at_2"

    header, reductions = (json.loads(members()[name]) for name in ("header.json", "reductions.json"))
    for content in (header, reductions):
        reduce(content)
    raw = packed(members() | {"header.json": json.dumps(header).encode(), "reductions.json": json.dumps(reductions).encode()})
    assert {metric for metric, _ in measured(raw)} == {"match:pass_at_2", "two/a:pass_at_2", "two/b:pass_at_2"}


@pytest.mark.parametrize(
    ("gone", "reason"),
    [("header.json", Reason.RunIncomplete), ("reductions.json", Reason.RawResultMalformed), ("summaries.json", Reason.RawResultMalformed)],
)
def test_a_log_without_one_of_its_members_is_refused(gone: str, reason: Reason) -> None:
    assert refusal(packed({name: content for name, content in members().items() if name != gone})).reason is reason


def test_an_archive_of_something_else_is_of_no_harness() -> None:
    assert refusal(packed({"readme.txt": b"x"})).reason is Reason.HarnessUnknown


# The archive itself.


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZIP_ZSTANDARD])
def test_members_are_what_was_packed(method: int) -> None:
    content = b"lorem ipsum " * 5000
    assert Archive(packed({"a": content, "b": b""}, method=method)).read("a") == content
    assert Archive(packed({"a": content, "b": b""}, method=method)).read("b") == b""


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_compress_are_refused(method: int) -> None:
    assert "is compressed by method" in str(error_of(lambda: Archive(packed({"a": b"x"}, method=method)).read("a")))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZIP_ZSTANDARD])
def test_a_bomb_is_not_unpacked_whatever_it_states(method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BUDGET", 100_000)
    raw = packed({"bomb": b"\0" * 100_001}, method=method)
    if method != zipfile.ZIP_STORED:
        raw = raw.replace(struct.pack("<L", 100_001), struct.pack("<L", 10))
    small = Archive(raw)
    small.left = 100_000
    assert "unpacks to more than 100,000 bytes" in str(error_of(lambda: small.read("bomb")))


def test_the_budget_is_for_all_members_together() -> None:
    both = Archive(packed({"a": b"\0" * 60_000, "b": b"\0" * 60_000}))
    both.left = 100_000
    assert len(both.read("a")) == 60_000
    assert "unpacks to more" in str(error_of(lambda: both.read("b")))


def test_several_frames_are_one_member_up_to_a_number() -> None:
    assert Archive(as_zstandard(compress(b"one ") + compress(b"two"), b"one two")).read("a") == b"one two"
    assert Archive(as_zstandard(compress(b"x") * 64, b"x" * 64)).read("a") == b"x" * 64
    assert error_of(lambda: Archive(as_zstandard(compress(b"x") * 65, b"x" * 65)).read("a")).reason is Reason.RawResultMalformed


@pytest.mark.parametrize(("window_log", "is_read"), [(23, True), (24, False)])
def test_a_window_beyond_eight_mebibytes_is_refused(window_log: int, is_read: bool) -> None:
    compressor = ZstdCompressor(options={CompressionParameter.window_log: window_log})
    streamed = as_zstandard(compressor.compress(b"x") + compressor.flush(), b"x")
    if is_read:
        assert Archive(streamed).read("a") == b"x"
    else:
        assert error_of(lambda: Archive(streamed).read("a")).reason is Reason.RawResultMalformed


def as_zstandard(frames: bytes, content: bytes) -> bytes:
    """An archive with one member, which is `frames` as they are."""
    stored = bytearray(packed({"a": frames}, method=zipfile.ZIP_STORED))
    central = stored.rindex(b"PK\x01\x02")
    struct.pack_into("<H", stored, central + 10, 93)
    struct.pack_into("<L", stored, central + 16, zipfile.crc32(content))  # type: ignore[attr-defined]
    struct.pack_into("<L", stored, central + 24, len(content))
    return bytes(stored)


@pytest.mark.parametrize(
    "frames",
    [b"", b"no frame at all", compress(b"content")[:-2], compress(b"content") + b"rest", compress(b"contents"), compress(b"tnetnoc")],
)
def test_what_is_not_the_member_that_is_stated_is_refused(frames: bytes) -> None:
    assert error_of(lambda: Archive(as_zstandard(frames, b"content")).read("a")).reason is Reason.RawResultMalformed


def test_every_byte_of_the_directory_that_is_changed_is_refused_or_changes_nothing() -> None:
    good = packed({"a": b"content", "b": b"more"})
    for place in range(good.index(b"PK\x01\x02"), len(good)):
        for bit in (0x01, 0x80):
            bad = bytearray(good)
            bad[place] ^= bit
            try:
                read = Archive(bytes(bad))
                contents = {read.read(name) for name in read.members}
            except ProvenanceError:
                continue
            assert contents == {b"content", b"more"}, place


@pytest.mark.parametrize(
    ("place", "value", "complaint"), [(8, 1, "encrypted"), (24, 8, "size or checksum"), (16, 0, "size or checksum"), (20, 9999, "not inside")]
)
def test_an_entry_that_does_not_fit_its_member_is_refused(place: int, value: int, complaint: str) -> None:
    """Flags, size, checksum and packed size of the one entry."""
    raw = bytearray(packed({"a": b"content"}, method=zipfile.ZIP_STORED))
    struct.pack_into("<H" if place == 8 else "<L", raw, raw.rindex(b"PK\x01\x02") + place, value)
    assert complaint in str(error_of(lambda: Archive(bytes(raw)).read("a")))


@pytest.mark.parametrize(("place", "value", "complaint"), [(4, 1, "several disks"), (16, 60_000, "ends early"), (10, 2, "several disks")])
def test_an_end_that_does_not_fit_its_directory_is_refused(place: int, value: int, complaint: str) -> None:
    raw = bytearray(packed({"a": b"content"}))
    struct.pack_into("<H", raw, raw.rindex(b"PK\x05\x06") + place, value)
    assert complaint in str(error_of(lambda: Archive(bytes(raw))))


def test_a_frame_that_is_cut_short_is_said_to_be() -> None:
    assert "is cut short" in str(error_of(lambda: Archive(as_zstandard(compress(b"content")[:-2], b"content")).read("a")))


@pytest.mark.parametrize("cut", [1, 10, 22, 60, 200])
def test_an_archive_that_is_cut_short_is_refused(cut: int) -> None:
    assert refusal(LOGS[-1].read_bytes()[:-cut]).reason is Reason.RawResultMalformed


def test_a_member_that_is_no_deflate_stream_is_refused() -> None:
    packed_member = packed({"header.json": b"content" * 9}, method=zipfile.ZIP_DEFLATED)
    at = packed_member.index(b"header.json") + len("header.json")
    error = error_of(lambda: read_raw("log.eval", packed_member[:at] + b"\xff" * 4 + packed_member[at + 4 :]))
    assert error.reason is Reason.RawResultMalformed
    assert "'header.json' is no Deflate stream that is read" in str(error)


def test_a_name_that_is_no_text_is_refused() -> None:
    error = error_of(lambda: read_raw("log.eval", packed({"aa": b"one"}).replace(b"aa", b"a\xff")))
    assert error.reason is Reason.RawResultMalformed
    assert "member 1 of the archive has a name that is no UTF-8" in str(error)


def test_a_name_that_is_there_twice_is_refused() -> None:
    raw = packed({"aa": b"one", "bb": b"two"}).replace(b"bb", b"aa")
    assert "twice" in str(error_of(lambda: Archive(raw)))


def test_more_members_than_are_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBER_LIMIT", 2)
    assert set(Archive(packed({"a": b"", "b": b""})).members) == {"a", "b"}
    assert "members; at most" in str(error_of(lambda: Archive(packed({"a": b"", "b": b"", "c": b""}))))
