"""Scored samples that went through Parquet or Arrow measure the same as those that did not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from sluice.cli.convert.arrow import HEADER_KEY
from sluice.evidence.harness.raw import read_raw
from tests.unit.cli.models import run

# What can be printed: no filter, which would throw most of what is drawn away.
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ")
NAMES = st.text(PRINTABLE, min_size=1, max_size=9)
FIELDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ", exclude_characters="="), min_size=1, max_size=9)
# Of larger ones the reader can compute no standard error.
NUMBERS = st.one_of(st.floats(-1e100, 1e100), st.floats(0, 1))


@st.composite
def scored(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and samples, as any tool may write them."""
    metrics = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    sample = st.fixed_dictionaries(
        {"id": NAMES, "scores": st.fixed_dictionaries(dict.fromkeys(metrics, NUMBERS))}, optional={"slices": st.dictionaries(FIELDS, NAMES, max_size=3)}
    )
    samples = draw(st.lists(sample, min_size=1, max_size=12))
    header = {
        "format": "https://sluice.dev/scored-samples/v1", "suite": draw(NAMES), "tool": {"name": draw(NAMES), "version": draw(NAMES)},
        "cases": len({each["id"] for each in samples}),
    }  # fmt: skip
    return header, samples


def table_of(samples: list[dict[str, Any]]) -> pa.Table:
    fields = list(dict.fromkeys(name for each in samples for name in each.get("slices", {})))
    columns: dict[str, Any] = {"id": [each["id"] for each in samples]}
    columns |= {f"scores.{metric}": pa.array([each["scores"][metric] for each in samples], pa.float64()) for metric in samples[0]["scores"]}
    columns |= {f"slices.{name}": [each.get("slices", {}).get(name) for each in samples] for name in fields}
    return pa.table(columns)


@given(scored(), st.booleans())
def test_what_was_a_table_measures_the_same(run_: tuple[dict[str, Any], list[dict[str, Any]]], is_parquet: bool) -> None:
    header, samples = run_
    written = "\n".join(json.dumps(each) for each in (header, *samples)).encode()
    table = table_of(samples).replace_schema_metadata({HEADER_KEY: json.dumps(header).encode()})
    with tempfile.TemporaryDirectory() as folder:
        source, to = Path(folder) / "it", Path(folder) / "samples.jsonl"
        if is_parquet:
            pq.write_table(table, source)
        else:
            with pa.OSFile(str(source), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        result = run("evidence", "convert", source, "-o", to)
        assert result.exit_code == 0, result.output
        assert read_raw("it", to.read_bytes()) == read_raw("it", written)
