"""Whatever a model consists of: as it was signed it verifies, and after any one change it does not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sluice.provenance.errors import ProvenanceError
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_signature import ModelManifest, parse_model_manifest
from sluice.provenance.model_statement import model_statement
from sluice.provenance.model_verification import FilesRefused, verify_on_disk
from sluice.provenance.statement import parse_statement

PARTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1, max_size=12).filter(
    lambda part: part not in {".", ".."} and len(part.encode()) < 100
)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
MODELS = st.dictionaries(NAMES, st.binary(min_size=1, max_size=40), min_size=1, max_size=6)


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files on disk; assumes that none of them is a folder of another."""
    for name, content in files.items():
        path = folder / "model" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            assume(condition=False)
    return folder / "model"


def signed(model: Path, algorithm: str, shard_size: int) -> ModelManifest:
    """The list as whoever verifies reads it."""
    return parse_model_manifest(parse_statement(model_statement(manifest_of(model, algorithm=algorithm, shard_size=shard_size, threads=1))))


@settings(deadline=None, max_examples=40)
@given(files=MODELS, algorithm=st.sampled_from(["sha256", "blake2b", "blake3"]), shard_size=st.sampled_from([0, 0, 1, 7, 64]))
def test_a_model_verifies_as_it_was_signed(files: dict[str, bytes], algorithm: str, shard_size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = written(Path(folder), files)
        on_disk = verify_on_disk(signed(model, algorithm, shard_size), model, threads=1)
        assert (on_disk.files, on_disk.bytes) == (len(files), sum(map(len, files.values())))


@settings(deadline=None, max_examples=70)
@given(
    files=MODELS, shard_size=st.sampled_from([0, 7]), change=st.sampled_from(["content", "append", "cut", "rename", "remove", "add", "link"]), data=st.data()
)
def test_after_any_one_change_it_does_not(files: dict[str, bytes], shard_size: int, change: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = written(Path(folder), files)
        manifest = signed(model, "sha256", shard_size)
        name = data.draw(st.sampled_from(sorted(files)))
        path, content = model / name, files[name]
        other = data.draw(PARTS.filter(lambda part: not (model / part).exists()))
        match change:
            case "content":
                at = data.draw(st.integers(0, len(content) - 1))
                path.write_bytes(content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :])
            case "append":
                path.write_bytes(content + b"\0")
            case "cut":
                path.write_bytes(content[:-1])
            case "rename":
                path.rename(model / other)
            case "remove":
                path.unlink()
            case "add":
                (model / other).write_bytes(b"")
            case _:
                (model / other).symlink_to(path)
        with pytest.raises(FilesRefused):
            verify_on_disk(manifest, model, threads=1)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=40), st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=20)), max_size=3), st.one_of(st.none(), st.integers(), st.floats()))
def test_a_list_of_anything_is_read_or_refused_and_nothing_else(name: str, ignored: list[object], shard_size: object) -> None:
    entry = {"name": name, "digest": "0" * 64, "algorithm": "sha256"}
    serialization = {"method": "shards", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": ignored, "shard_size": shard_size}
    root = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": [entry], "serialization": serialization},
    }
    try:
        manifest = parse_model_manifest(parse_statement(json.dumps(document).encode()))
    except ProvenanceError:
        return
    assert all(file.name in name and ".." not in file.name.split("/") for file in manifest.files)
