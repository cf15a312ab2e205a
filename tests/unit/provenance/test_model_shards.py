"""Files in shards: the pieces cover each file as a whole, or the list is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sluice.provenance.errors import Reason
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_shards import shard_names
from sluice.provenance.model_signature import ModelManifest, oms_root, parse_model_manifest
from sluice.provenance.statement import parse_statement
from tests.signing import Json, error_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "name-binding-digest.md"
SIZE = 4
CONTENT = {"a.txt": b"abc", "a:1:2": b"abcd", "sub/w.bin": b"0123456789"}


def shards() -> Json:
    """Entries as the specification (6.3.2) has them."""
    listed = []
    for name in sorted(CONTENT):
        edges = [*range(0, len(CONTENT[name]), SIZE), len(CONTENT[name])]
        for start, end in pairwise(edges):
            listed.append({"name": f"{name}:{start}:{end}", "digest": hashlib.sha256(CONTENT[name][start:end]).hexdigest(), "algorithm": "sha256"})
    return listed


def parse(edit: Callable[[Json], object] = lambda _: None, *, shard_size: Json = SIZE, algorithm: str = "sha256") -> ModelManifest:
    """Parse the list after `edit`; the root is made of what is listed then."""
    listed = shards()
    edit(listed)
    for each in listed:
        each["algorithm"] = algorithm
    root = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in listed)).hexdigest()
    serialization = {"method": "shards", "hash_type": "sha256", "shard_size": shard_size, "allow_symlinks": False}
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": listed, "serialization": serialization},
    }
    return parse_model_manifest(parse_statement(json.dumps(document).encode()))


def test_shards_are_put_together_to_files_of_a_known_size() -> None:
    files = {file.name: file for file in parse().files}
    assert {name: file.size for name, file in files.items()} == {name: len(content) for name, content in CONTENT.items()}
    assert files["sub/w.bin"].shards == tuple(hashlib.sha256(piece).hexdigest() for piece in (b"0123", b"4567", b"89"))
    assert files["a.txt"].tagged == "sha256-shards-4:" + hashlib.sha256(hashlib.sha256(b"abc").digest()).hexdigest()


def test_a_model_of_one_file_has_its_own_name_in_shards_too() -> None:
    def one_file(listed: Json) -> None:
        kept = [each for each in listed if each["name"].startswith("sub/")]
        listed[:] = [each | {"name": each["name"].replace("sub/w.bin", ".")} for each in kept]

    (file,) = parse(one_file).files
    assert (file.name, file.size) == ("model", len(CONTENT["sub/w.bin"]))


def test_the_reference_writes_a_float_and_the_size_into_the_name_of_the_algorithm() -> None:
    assert parse(shard_size=4.0, algorithm="sha256-sharded-4") == parse()


def test_the_reference_name_of_an_algorithm_must_be_of_the_same_size() -> None:
    assert error_of(lambda: parse(algorithm="sha256-sharded-5")).reason is Reason.ManifestMalformed


def test_the_files_name_their_shards_as_they_were_listed() -> None:
    manifest = parse()
    assert sorted(name for file in manifest.files for name in shard_names(file)) == sorted(each["name"] for each in shards())


def test_the_order_of_the_shards_is_free() -> None:
    assert parse(list.reverse).digest == parse().digest


def test_the_root_is_made_of_the_shards_and_not_of_the_files() -> None:
    manifest = parse()
    assert oms_root(sorted(manifest.files)) == manifest.oms_root


def test_another_size_of_shards_is_another_digest() -> None:
    def only_one(listed: Json) -> None:
        listed[:] = [each for each in listed if each["name"].startswith("a.txt")]

    assert parse(only_one, shard_size=4).digest != parse(only_one, shard_size=5).digest


def rename(old: str, new: str) -> Callable[[Json], None]:
    def edit(listed: Json) -> None:
        next(each for each in listed if each["name"] == old)["name"] = new

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        rename("sub/w.bin:4:8", "sub/w.bin:4:9"),
        rename("sub/w.bin:4:8", "sub/w.bin:5:8"),
        rename("sub/w.bin:8:10", "sub/w.bin:8:13"),
        rename("sub/w.bin:8:10", "sub/w.bin:8:8"),
        rename("sub/w.bin:0:4", "sub/w.bin:00:4"),
        rename("sub/w.bin:0:4", "sub/w.bin:+0:4"),
        rename("sub/w.bin:0:4", "sub/w.bin:-1:4"),
        rename("sub/w.bin:0:4", "sub/w.bin:0:4:"),
        rename("sub/w.bin:0:4", "sub/w.bin:0:4 "),
        rename("sub/w.bin:0:4", "sub/w.bin"),
        rename("a.txt:0:3", "../a.txt:0:3"),
        rename("a.txt:0:3", "/a.txt:0:3"),
        rename("a.txt:0:3", ":0:3"),
        rename("a.txt:0:3", "a.txt:\u0660:3"),
        rename("a.txt:0:3", "a.txt:0:5"),
        rename("a.txt:0:3", "sub/w.bin:0:4"),
        lambda listed: listed.append(dict(listed[0])),
        lambda listed: listed.pop(-2),
        list.clear,
    ],
)
def test_a_list_is_refused_whose_pieces_do_not_cover_each_file(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: parse(edit)).reason is Reason.ManifestMalformed


@pytest.mark.parametrize("size", [0, -4, 4.5, "4", None, True, 1e300, 2**60])
def test_a_size_of_shards_that_is_none_is_refused(size: Json) -> None:
    assert error_of(lambda: parse(shard_size=size)).reason is Reason.ManifestMalformed


def test_the_documented_shards_are_those_of_the_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc")
    (tmp_path / "w.bin").write_bytes(b"0123456789")
    text = DOCUMENT.read_text("utf-8")
    assert f"`{manifest_of(tmp_path, shard_size=4).digest}`" in text
    (tmp_path / "a.txt").unlink()
    assert f"`{manifest_of(tmp_path, shard_size=4, algorithm='blake2b').digest}`" in text
