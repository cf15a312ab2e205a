"""Parquet, and Arrow's own files (IPC, also called Feather, and streams), by pyarrow: a library of C++, which is why no cluster reads them.

Only the columns that are wanted are read, some thousand rows at a time; of Arrow's own files, a batch, which is as large as their writer made it.
A column `scores` or `slices` may be a struct; its members are then columns `scores.accuracy` and so on, as reading scored samples into Arrow gives them.
Anything else that is nested is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluice.cli.convert.tables import Row, Table, each_once
from sluice.provenance.errors import ProvenanceError, Reason, quoted

if TYPE_CHECKING:
    import pyarrow as pa

HEADER_KEY: Final = b"sluice.dev/scored-samples"
PARQUET: Final = b"PAR1"
_IPC_FILE: Final = b"ARROW1"
_IPC_STREAM: Final = b"\xff\xff\xff\xff"
_REFUSED: Final = {
    b"PARE": "is encrypted Parquet: write it without encryption",
    b"FEA1": "is Feather 1: write it as Feather 2 (pyarrow.feather.write_feather), or as Parquet",
}
_MAGIC_BYTES: Final = 6
_ROWS: Final = 1024
_STRUCTS: Final = ("scores", "slices")
_MALFORMED: Final = Reason.RawResultMalformed


def recognises(begin: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return begin.startswith((PARQUET, _IPC_FILE, _IPC_STREAM, *_REFUSED))


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Open a file. Raises ProvenanceError (RawResultMalformed), here and while rows are read; ImportError where pyarrow is not installed."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    with path.open("rb") as file:
        begin = file.read(_MAGIC_BYTES)
    if told := next((told for magic, told in _REFUSED.items() if begin.startswith(magic)), None):
        raise ProvenanceError(_MALFORMED, told)
    what = "Parquet" if begin.startswith(PARQUET) else "Arrow"
    try:
        with pa.memory_map(str(path)) as source:
            if begin.startswith(PARQUET):
                with pq.ParquetFile(source, pre_buffer=False) as parquet:
                    yield _Parquet(parquet)
            else:
                yield _Ipc(source, is_stream=begin.startswith(_IPC_STREAM))
    # pyarrow raises its own errors, and Python's for files that end too early; the latter say no file name, so they are not the system's.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ProvenanceError(_MALFORMED, f"is no {what} that can be read: {quoted(error)}") from None


class _Parquet:
    def __init__(self, file: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        self._file = file
        self._schema: pa.Schema = file.schema_arrow
        self.columns = _names(self._schema)
        # Other writers than Arrow's keep it in the file alone, not in a schema.
        self.header = (file.metadata.metadata or {}).get(HEADER_KEY)

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        _check(self._schema, wanted)
        return _rows(self._file.iter_batches(batch_size=_ROWS, columns=list(wanted), use_threads=False), wanted)


class _Ipc:
    def __init__(self, source: Any, *, is_stream: bool) -> None:  # noqa: ANN401 - pyarrow has no types
        self._source, self._open = source, _opener(is_stream=is_stream)
        self._schema: pa.Schema = self._open(source).schema
        self.columns = _names(self._schema)
        self.header = (self._schema.metadata or {}).get(HEADER_KEY)

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        _check(self._schema, wanted)
        fields = sorted({self._schema.get_field_index(_place(self._schema, name)[0]) for name in wanted})
        self._source.seek(0)
        reader = self._open(self._source, options=pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False))
        return _rows(_batches(reader), wanted)


def _opener(*, is_stream: bool) -> Any:  # noqa: ANN401 - one of two functions of pyarrow
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.ipc.open_stream if is_stream else pa.ipc.open_file


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - pyarrow has no types
    """The batches of a file or a stream, in pieces: a writer may have put all rows into one."""
    whole = (reader.get_batch(number) for number in range(reader.num_record_batches)) if hasattr(reader, "num_record_batches") else iter(reader)
    for batch in whole:
        for start in range(0, batch.num_rows, _ROWS):
            piece = batch.slice(start, _ROWS)
            # What the file says of its own offsets is not followed before it was looked at.
            piece.validate(full=True)
            yield piece


def _names(schema: pa.Schema) -> tuple[str, ...]:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    found: list[str] = []
    for field in schema:
        is_split = field.name in _STRUCTS and pa.types.is_struct(field.type)
        found += (f"{field.name}.{each.name}" for each in field.type) if is_split else (field.name,)
    return each_once(found)


def _place(schema: pa.Schema, name: str) -> tuple[str, str]:
    """The column in the file and the member of its struct, which is empty where it has none."""
    if schema.get_field_index(name) >= 0:
        return name, ""
    parent, _, child = name.partition(".")
    return parent, child


def _check(schema: pa.Schema, wanted: Sequence[str]) -> None:
    for name in wanted:
        parent, child = _place(schema, name)
        kind = schema.field(parent).type
        kind = kind.field(child).type if child else kind
        if not _is_read(kind):
            raise ProvenanceError(
                _MALFORMED,
                f"column {name[:100]!r} is of type {str(kind)[:100]}; cast it to text, a whole or floating-point number, or true and false",
            )


def _is_read(kind: pa.DataType) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(is_one(kind) for is_one in known)


def _rows(batches: Iterator[pa.RecordBatch], wanted: Sequence[str]) -> Iterator[Row]:
    for batch in batches:
        columns = []
        for name in wanted:
            parent, child = _place(batch.schema, name)
            column = batch.column(parent)
            # Flattened, a member is null where its whole struct is.
            columns.append(column.flatten()[column.type.get_field_index(child)] if child else column)
        yield from zip(*(column.to_pylist() for column in columns), strict=True)
