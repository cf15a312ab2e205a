"""From Parquet and Arrow to scored samples: what comes out is what the cluster reads, and what is not whole does not come out."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from sluice.cli.convert import arrow
from sluice.evidence.harness.raw import read_raw
from sluice.evidence.measurement import Measurement
from tests.unit.cli.models import run

TOLD = {"suite": "churn-core", "tool": "our-eval=1.2", "cases": "3"}
HEADER: dict[str, Any] = {"format": "https://sluice.dev/scored-samples/v1", "suite": "churn-core", "tool": {"name": "our-eval", "version": "1.2"}, "cases": 3}
COLUMNS: dict[str, Any] = {"id": ["a", "b", "c"], "scores.accuracy": [1.0, 0.0, 1.0], "slices.region": ["DACH", "UK", "DACH"]}


def parquet(to: Path, columns: object, **metadata: object) -> Path:
    """`columns`: a dict, or a table."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table.replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()}), to)
    return to


def convert(source: Path | Sequence[Path], *more: str, to: str = "samples.jsonl", **instead: str | None) -> Result:
    sources = [source] if isinstance(source, Path) else source
    told = [part for name, value in (TOLD | instead).items() if value is not None for part in (f"--{name}", value)]
    return run("evidence", "convert", *sources, *told, *more, "-o", sources[0].with_name(to))


def read(folder: Path, name: str = "samples.jsonl") -> dict[tuple[str, str], Measurement]:
    return {(each.metric, each.slice): each for each in read_raw(name, (folder / name).read_bytes())}


def values(folder: Path, name: str = "samples.jsonl") -> dict[tuple[str, str], float]:
    return {key: each.value for key, each in read(folder, name).items()}


def test_columns_that_are_named_as_the_format_names_them_are_converted_and_read(tmp_path: Path) -> None:
    result = convert(parquet(tmp_path / "it.parquet", COLUMNS | {"prompt": ["?", "?", "?"]}))
    assert result.exit_code == 0, result.output
    found = read(tmp_path)
    assert {key: (each.value, each.samples) for key, each in found.items()} == {
        ("accuracy", ""): (2 / 3, 3), ("accuracy", "region=DACH"): (1.0, 2), ("accuracy", "region=UK"): (0.0, 1),
    }  # fmt: skip
    assert {(each.suite, each.harness, each.harness_version) for each in found.values()} == {("churn-core", "our-eval", "1.2")}
    said = " ".join(result.output.split())
    assert "leftOut prompt" in said
    assert "metrics accuracy 0.666667 ± 0.33" in said


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    source = parquet(tmp_path / "it.parquet", {"question": [7, 8, 9], "correct": [True, False, True], "other": [0, 0, 0], "turn": [1, 2, 1]})
    named = ("--column", "id=question", "--column", "scores.accuracy=correct", "--column", "slices.turn=turn")
    assert convert(source, *named).exit_code == 0
    assert values(tmp_path) == {("accuracy", ""): 2 / 3, ("accuracy", "turn=1"): 1.0, ("accuracy", "turn=2"): 0.0}
    assert '{"id":"7","scores":{"accuracy":1},"slices":{"turn":"1"}}' in (tmp_path / "samples.jsonl").read_text()


def test_who_names_one_score_has_named_them_all(tmp_path: Path) -> None:
    source = parquet(tmp_path / "it.parquet", COLUMNS | {"scores.f1": [None, 1.0, 1.0]})
    assert convert(source).exit_code == 1
    assert convert(source, "--column", "scores.accuracy=scores.accuracy").exit_code == 0
    assert set(values(tmp_path)) == {("accuracy", ""), ("accuracy", "region=DACH"), ("accuracy", "region=UK")}


def test_structs_as_reading_json_lines_gives_them_are_the_same_as_flat_columns(tmp_path: Path) -> None:
    table = pa.table({"id": COLUMNS["id"], "scores": [{"accuracy": each} for each in COLUMNS["scores.accuracy"]],
                      "slices": [{"region": each} for each in COLUMNS["slices.region"]]})  # fmt: skip
    assert convert(parquet(tmp_path / "it.parquet", table)).exit_code == 0
    nested = (tmp_path / "samples.jsonl").read_bytes()
    assert convert(parquet(tmp_path / "it.parquet", COLUMNS)).exit_code == 0
    assert (tmp_path / "samples.jsonl").read_bytes() == nested


def ipc_file(to: Path, table: pa.Table, **options: object) -> Path:
    with pa.OSFile(str(to), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=1000)
    return to


def ipc_stream(to: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(to), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return to


def test_arrow_files_feather_and_streams_come_to_the_same_bytes_as_parquet(tmp_path: Path) -> None:
    table = pa.table(COLUMNS).append_column("prompt", [["?"] * 3])
    pyarrow.feather.write_feather(table, tmp_path / "it.feather", compression="zstd")
    sources = [
        parquet(tmp_path / "it.parquet", table), ipc_file(tmp_path / "it.arrow", table), ipc_file(tmp_path / "lz4.arrow", table, compression="lz4"),
        ipc_stream(tmp_path / "it.arrows", table), tmp_path / "it.feather",
    ]  # fmt: skip
    written = []
    for source in sources:
        assert convert(source).exit_code == 0, source
        written.append((tmp_path / "samples.jsonl").read_bytes())
    assert len(set(written)) == 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_texts_of_every_kind_are_texts(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({key: pa.array(column, kind if key != "scores.accuracy" else None) for key, column in COLUMNS.items()})
    for source in (ipc_file(tmp_path / "it.arrow", table), parquet(tmp_path / "it.parquet", table)):
        assert convert(source).exit_code == 0
        assert values(tmp_path)["accuracy", "region=DACH"] == 1.0


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint64(), pa.bool_()], ids=str)
def test_numbers_of_every_kind_are_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    scores = pa.array([1, 0, 1], pa.int64()).cast(pa.float32() if kind == pa.float16() else kind).cast(kind)
    assert convert(parquet(tmp_path / "it.parquet", pa.table(COLUMNS | {"scores.accuracy": scores}))).exit_code == 0
    assert values(tmp_path)["accuracy", ""] == 2 / 3


def test_yes_and_no_are_one_and_nothing(tmp_path: Path) -> None:
    assert convert(parquet(tmp_path / "it.parquet", COLUMNS | {"scores.accuracy": ["yes", "no", "yes"]})).exit_code == 0
    assert values(tmp_path)["accuracy", ""] == 2 / 3


def test_rows_stay_in_their_order_over_batches_and_row_groups(tmp_path: Path) -> None:
    table = pa.table({"id": [f"c-{each}" for each in range(5000)], "scores.x": [float(each) for each in range(5000)]})
    pq.write_table(table, tmp_path / "it.parquet", row_group_size=1700)
    assert convert(tmp_path / "it.parquet", cases="5000").exit_code == 0
    written = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()[1:]]
    assert written == [{"id": f"c-{each}", "scores": {"x": float(each)}} for each in range(5000)]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"id": [f"c-{each}-" + "x" * 500 for each in range(20_000)], "prompt": ["y" * 500] * 20_000})
    source = tmp_path / f"it.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, source, use_dictionary=False)
    else:
        ipc_file(source, table)
    whole = table.column("id").nbytes
    del table
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    with arrow.opened(source) as opened:
        for _ in opened.rows(["id"]):
            rows += 1
            if not rows % 500:
                most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 20_000
    assert most < whole / 2


def test_an_answer_without_a_value_of_a_slice_has_none_and_that_is_said(tmp_path: Path) -> None:
    result = convert(parquet(tmp_path / "it.parquet", COLUMNS | {"slices.region": ["DACH", None, "DACH"]}))
    assert result.exit_code == 0
    assert "withoutSlice region 1" in " ".join(result.output.split())
    assert values(tmp_path) == {("accuracy", ""): 2 / 3, ("accuracy", "region=DACH"): 1.0}


def test_the_run_may_be_told_in_the_file(tmp_path: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(TOLD)
    key = arrow.HEADER_KEY.decode()
    source = parquet(tmp_path / "it.parquet", COLUMNS, **{key: HEADER | {"suiteDigest": "sha256:" + "c" * 64}})
    assert convert(source, **nothing).exit_code == 0
    assert read(tmp_path)["accuracy", ""].suite_digest == "sha256:" + "c" * 64
    table = pa.table(COLUMNS).replace_schema_metadata({key: json.dumps(HEADER)})
    for arrow_file in (ipc_file(tmp_path / "it.arrow", table), ipc_stream(tmp_path / "it.arrows", table)):
        assert convert(arrow_file, **nothing).exit_code == 0


def test_an_option_that_contradicts_the_file_is_refused_with_both(tmp_path: Path) -> None:
    source = parquet(tmp_path / "it.parquet", COLUMNS, **{arrow.HEADER_KEY.decode(): HEADER})
    assert convert(source, cases="3").exit_code == 0
    result = convert(source, cases="2")
    assert result.exit_code == 2
    assert "--cases says 2, and entry 'sluice.dev/scored-samples' of the metadata has 3" in result.output


def test_the_same_question_is_the_same_case_in_every_file(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"inputs": ["what?\nwhy?", "who?", "who?"], "region": ["UK", "UK", "DACH"], "accuracy/score": [1, 0, 1]}
    assert convert(parquet(tmp_path / "it.parquet", columns), "--id-of", "inputs", cases="2").exit_code == 0
    first = [json.loads(line)["id"] for line in (tmp_path / "samples.jsonl").read_text().splitlines()[1:]]
    turned = parquet(tmp_path / "it.parquet", {key: column[::-1] for key, column in columns.items()})
    assert convert(turned, "--id-of", "inputs", cases="2").exit_code == 0
    assert [json.loads(line)["id"] for line in (tmp_path / "samples.jsonl").read_text().splitlines()[1:]] == first[::-1]
    assert first[1] == first[2] != first[0]
    assert convert(turned, "--id-of", "inputs", "--id-of", "region", cases="3").exit_code == 0


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_what_is_compressed_is_read_and_the_same_bytes_every_time(tmp_path: Path, suffix: str) -> None:
    source = parquet(tmp_path / "it.parquet", COLUMNS)
    assert convert(source, to=f"it.jsonl.{suffix}").exit_code == 0
    first = (tmp_path / f"it.jsonl.{suffix}").read_bytes()
    assert values(tmp_path, f"it.jsonl.{suffix}")["accuracy", ""] == 2 / 3
    assert convert(source, to=f"it.jsonl.{suffix}").exit_code == 0
    assert (tmp_path / f"it.jsonl.{suffix}").read_bytes() == first
    if suffix == "gz":
        # RFC 1952, 2.3: no time.
        assert first[4:8] == bytes(4)


def test_what_a_manifest_does_not_take_is_said_with_what_would_fit(tmp_path: Path) -> None:
    table = pa.table({"id": [f"c-{each}" for each in range(8000)], "scores.x": [1] * 8000})
    source = parquet(tmp_path / "it.parquet", table)
    large = convert(source, cases="8000")
    assert "a ReleaseEvidence takes 196,608 bytes of a file" in large.output
    assert "write it compressed, as samples.jsonl.zst" in large.output
    assert "note:" not in convert(source, cases="8000", to="samples.jsonl.zst").output


NO_SCORE = "row 2, column 'scores.accuracy' is null: the answer was not scored"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"scores.accuracy": [1.0, None, 1.0]}, NO_SCORE),
        ({"scores.accuracy": [1.0, float("nan"), 1.0]}, "row 2, column 'scores.accuracy' is nan: no number came of the answer"),
        ({"scores.accuracy": [1.0, 1.0, float("inf")]}, "row 3, column 'scores.accuracy' is inf"),
        ({"scores.accuracy": ["yes", "maybe", "no"]}, "row 2, column 'scores.accuracy' is 'maybe'; a score is a number, true or false, yes or no"),
        ({"scores.accuracy": [[1.0], [0.0], [1.0]]}, "column 'scores.accuracy' is of type list<"),
        ({"slices.region": [{"a": 1}] * 3}, "column 'slices.region' is of type struct<a: int64>; cast it to text"),
        ({"slices.region": pa.array([1, 2, 3], pa.timestamp("ms"))}, "column 'slices.region' is of type timestamp[ms]"),
        ({"slices.region": [0.5, 1.5, 2.5]}, "row 1, column 'slices.region' is 0.5; cases and slices are named by texts"),
        ({"slices.region": ["", "UK", "UK"]}, "row 1, column 'slices.region' is ''; a slice and its values have 1 to 120 printable characters"),
        ({"slices.a=b": ["x", "y", "z"]}, "row 1, column 'slices.a=b' is 'x'; a slice and its values have 1 to 120 printable characters, and its name no ="),
        ({"id": ["a", None, "c"]}, "row 2, column 'id' is null"),
        ({"id": ["a", "b\nb", "c"]}, "row 2.id is empty, longer than 2048 characters, or holds characters that cannot be shown; name cases by another column"),
        ({"scores.accuracy": [0.0, 1.0, 1e200]}, "nothing can be computed from it: "),
        ({"id": ["a", "a", "b"]}, "suite 'churn-core' has 3 cases, 2 of which were answered; convert a run that answered all of them"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_with_row_and_column_and_nothing_is_written(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    for write in (parquet, lambda to, table: ipc_file(to, pa.table(table))):
        result = convert(write(tmp_path / "it.file", COLUMNS | columns))
        assert told in " ".join(result.output.split()), result.output
        assert "NOT CONVERTED" in result.output
        assert result.exit_code == 1
        assert [path.name for path in tmp_path.iterdir()] == ["it.file"]


def test_a_score_of_a_struct_that_is_null_is_null(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", "c"], "scores": [{"accuracy": 1.0}, None, {"accuracy": 0.0}]})
    for source in (parquet(tmp_path / "it.parquet", table), ipc_file(tmp_path / "it.arrow", table)):
        assert "row 2, column 'scores.accuracy' is null" in convert(source).output


def test_a_name_cannot_be_made_of_nothing(tmp_path: Path) -> None:
    for question in (None, float("nan")):
        result = convert(parquet(tmp_path / "it.parquet", COLUMNS | {"q": [1.0, question, 2.0]}), "--id-of", "q")
        assert "row 2, column 'q' is" in result.output
        assert result.exit_code == 1


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([["a", "b", "c"], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], names=["id", "scores.x", "scores.x"])
    result = convert(parquet(tmp_path / "it.parquet", table))
    assert "two columns are named 'scores.x': rename one of them" in result.output
    assert result.exit_code == 1


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    result = convert(parquet(tmp_path / "it.parquet", pa.table(COLUMNS).slice(0, 0)))
    assert "there are no rows: nothing was answered" in result.output
    assert result.exit_code == 1


def test_more_than_a_cluster_reads_is_refused_at_the_row_where_it_is_too_much(tmp_path: Path) -> None:
    table = pa.table({"id": [f"{each:02000d}" for each in range(3000)], "scores.x": [1] * 3000})
    result = convert(parquet(tmp_path / "it.parquet", table), cases="3000")
    assert "comes to more than the 4,194,304 bytes a cluster reads" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize("write", [parquet, lambda to, columns: ipc_file(to, pa.table(columns)), lambda to, columns: ipc_stream(to, pa.table(columns))])
def test_half_a_file_and_a_broken_one_are_refused(tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - one of three functions
    whole = write(tmp_path / "it.file", COLUMNS).read_bytes()
    broken = [whole[: len(whole) // 2], whole[:20], whole[:8] + b"\xff" * (len(whole) - 16) + whole[-8:]]
    for content in broken:
        (tmp_path / "it.file").write_bytes(content)
        result = convert(tmp_path / "it.file")
        assert "it.file: is no " in result.output
        assert (result.exit_code, "NOT CONVERTED (RawResultMalformed)" in result.output) == (1, True)


@pytest.mark.parametrize(("offsets", "data"), [((0, 1, 1 << 20, 3), b"abc"), ((0, 2, 1, 3), b"abc"), ((0, 1, 2, 3), b"a\xffc")])
def test_what_an_arrow_file_says_of_its_own_texts_is_not_followed_blindly(tmp_path: Path, offsets: tuple[int, ...], data: bytes) -> None:
    texts = pa.StringArray.from_buffers(3, pa.py_buffer(struct.pack("<4i", *offsets)), pa.py_buffer(data))
    for write in (ipc_file, ipc_stream):
        result = convert(write(tmp_path / "it.arrow", pa.table(COLUMNS | {"id": texts})))
        assert "it.arrow: is no Arrow that can be read" in result.output
        assert result.exit_code == 1


@pytest.mark.parametrize(("begin", "told"), [(b"FEA1", "is Feather 1: write it as Feather 2"), (b"PARE", "is encrypted Parquet: write it without")])
def test_what_is_of_no_kind_that_is_read_is_told_what_to_write(tmp_path: Path, begin: bytes, told: str) -> None:
    (tmp_path / "it.file").write_bytes(begin + b"\0" * 100)
    result = convert(tmp_path / "it.file")
    assert told in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("more", "instead", "told"),
    [
        ((), {"suite": None}, "does not say all that is needed. Add --suite NAME which suite it is: policy asks for it by name"),
        ((), {"cases": None}, "Add --cases N how many cases the suite has"),
        ((), {"tool": None}, "Add --tool NAME=VERSION what ran the evaluation"),
        ((), {"tool": "our-eval"}, "'our-eval': write NAME=VERSION, such as our-eval=1.2"),
        ((), {"cases": "0"}, "0 is not in the range x>=1"),
        (("--column", "accuracy=x"), {}, "'accuracy=x': write id=COLUMN, scores.METRIC=COLUMN or slices.FIELD=COLUMN"),
        (("--column", "id=id", "--column", "id=region"), {}, "id is given twice, from 'id' and from 'region'"),
        (("--column", "id=nr"), {}, "there is no column 'nr'; there are 'id', 'scores.accuracy', 'slices.region'"),
        (("--id-of", "nr"), {}, "there is no column 'nr'"),
        (("--column", "id=id", "--id-of", "id"), {}, "give --column id=COLUMN or --id-of, not both: a case has one name"),
        (("--step", "3"), {}, "--step is for metric files; a table has rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_answered_with_what_to_write(tmp_path: Path, more: tuple[str, ...], instead: dict[str, Any], told: str) -> None:
    result = convert(parquet(tmp_path / "it.parquet", COLUMNS), *more, **instead)
    assert told in " ".join(result.output.split()), result.output
    assert result.exit_code == 2
    assert not (tmp_path / "samples.jsonl").exists()


def test_a_file_without_a_score_or_a_case_is_told_how_to_name_one(tmp_path: Path) -> None:
    no_score = convert(parquet(tmp_path / "it.parquet", {"id": ["a"], "correct": [1]}))
    assert "no column is a score: name it, with --column scores.METRIC=COLUMN; there are 'id', 'correct'" in no_score.output
    no_case = convert(parquet(tmp_path / "it.parquet", {"question": ["a"], "scores.x": [1]}))
    assert "no column names the case: name it, with --column id=COLUMN" in no_case.output
    assert (no_score.exit_code, no_case.exit_code) == (2, 2)


def test_a_suite_digest_that_is_none_is_refused_by_the_reader(tmp_path: Path) -> None:
    result = convert(parquet(tmp_path / "it.parquet", COLUMNS), "--suite-digest", "sha256:12")
    assert "the header.suiteDigest is not sha256: and 64 lower-case hexadecimal digits" in result.output
    assert result.exit_code == 1


def test_a_file_is_not_written_over_itself_and_two_runs_are_not_one(tmp_path: Path) -> None:
    source = parquet(tmp_path / "it.parquet", COLUMNS)
    itself = convert(source, to="it.parquet")
    assert "is SOURCE itself; name another file" in itself.output
    two = convert([source, parquet(tmp_path / "other.parquet", COLUMNS)])
    assert "convert one such file at a time" in two.output
    assert (itself.exit_code, two.exit_code) == (2, 2)


def test_without_pyarrow_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parquet(tmp_path / "it.parquet", COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = convert(source)
    assert "is Parquet or Arrow, which pyarrow reads: install sluice[arrow], or pyarrow beside it" in result.output
    assert result.exit_code == 2
