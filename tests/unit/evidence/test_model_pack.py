"""A ModelPack manifest carries a signed model when it lists the very files, and in no other case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.sigstore import model_signature_statement
from sluice.evidence.facts import establish
from sluice.evidence.model_pack import carriers
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_signature import ModelManifest
from tests.signing import anchors, error_of, sign
from tests.unit.evidence.made import modelpack as made_of

Object = dict[str, Any]
FILES = {"model.safetensors": b"weights" * 100, "config.json": b"{}", "code/modeling.py": b"pass"}


def modelpack(files: dict[str, bytes] = FILES) -> Object:
    return made_of(files)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def signed(model: Path) -> ModelManifest:
    return manifest_of(model)


def raw(manifest: Object) -> bytes:
    return json.dumps(manifest).encode()


def test_a_manifest_of_just_the_signed_files_carries_them_in_whatever_order(signed: ModelManifest) -> None:
    one, other = modelpack(), modelpack(dict(reversed(FILES.items())))
    assert carriers(signed, {"a.json": raw(one), "b.json": raw(other)}) == {sha256_of(raw(one)), sha256_of(raw(other))}
    assert carriers(signed, {}) == frozenset()


CHANGES: dict[str, Callable[[Object], object]] = {
    "a file less": lambda m: m["layers"].pop(),
    "a file more": lambda m: m["layers"].append(modelpack({"extra.py": b"x"})["layers"][0]),
    "another content": lambda m: m["layers"][0].update(digest=sha256_of(b"other")),
    "another name": lambda m: m["layers"][0]["annotations"].update({"org.cncf.model.filepath": "model.bin"}),
    "two names changed over": lambda m: [m["layers"][0]["annotations"].update(m["layers"][1]["annotations"]), m["layers"].pop(1)],
    "two contents changed over": lambda m: m["layers"][0].update(digest=m["layers"][1]["digest"]) or m["layers"][1].update(digest=sha256_of(b"weights" * 100)),
    "a file twice": lambda m: m["layers"].append(dict(m["layers"][0])),
    "an archive": lambda m: m["layers"][0].update(mediaType="application/vnd.cncf.model.weight.v1.tar"),
    "a compressed archive": lambda m: m["layers"][0].update(mediaType="application/vnd.cncf.model.weight.v1.tar+gzip"),
    "a layer of an image": lambda m: m["layers"][0].update(mediaType="application/vnd.oci.image.layer.v1.tar+gzip"),
    "a type that only ends so": lambda m: m["layers"][0].update(mediaType="application/x.weight.v1.raw"),
    "no path": lambda m: m["layers"][0].update(annotations={}),
    "no annotations": lambda m: m["layers"][0].pop("annotations"),
    "a path out of the model": lambda m: m["layers"][0]["annotations"].update({"org.cncf.model.filepath": "../model.safetensors"}),
    "an absolute path": lambda m: m["layers"][0]["annotations"].update({"org.cncf.model.filepath": "/model.safetensors"}),
    "a digest in capitals": lambda m: m["layers"][0].update(digest=m["layers"][0]["digest"].upper()),
    "no layers": lambda m: m.update(layers=[]),
    "layers that are no list": lambda m: m.update(layers={}),
    "an image": lambda m: m.pop("artifactType"),
    "another artifact": lambda m: m.update(artifactType="application/vnd.unknown.artifact.v1"),
    "an index": lambda m: m.update(mediaType="application/vnd.oci.image.index.v1+json"),
    "no media type": lambda m: m.pop("mediaType"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_manifest_that_differs_in_anything_is_refused(signed: ModelManifest, change: str) -> None:
    manifest = modelpack()
    CHANGES[change](manifest)
    assert error_of(lambda: carriers(signed, {"manifest.json": raw(manifest)})).reason is Reason.AttachmentMismatch


@pytest.mark.parametrize("content", [b"", b"[]", b'{"layers": 1, "layers": 2}', b"\xff", b'{"a":' * 100, b" " * (1 << 20) + b"{}"])
def test_what_is_no_manifest_is_refused(signed: ModelManifest, content: bytes) -> None:
    assert error_of(lambda: carriers(signed, {"manifest.json": content})).reason is Reason.AttachmentMismatch


def test_one_wrong_manifest_beside_a_right_one_is_refused(signed: ModelManifest) -> None:
    assert error_of(lambda: carriers(signed, {"a": raw(modelpack()), "b": raw(modelpack({"x": b""}))})).reason is Reason.AttachmentMismatch


@pytest.mark.parametrize("how", [{"algorithm": "blake2b"}, {"algorithm": "blake3"}, {"shard_size": 1000}])
def test_a_list_that_is_not_of_whole_files_by_sha256_cannot_be_compared(model: Path, how: dict[str, Any]) -> None:
    error = error_of(lambda: carriers(manifest_of(model, **how), {"manifest.json": raw(modelpack())}))
    assert (error.reason, "layers are named by sha256" in str(error)) == (Reason.AttachmentMismatch, True)


def test_a_file_that_the_signer_left_out_is_in_no_layer(model: Path) -> None:
    signed = manifest_of(model, leave_out=["code"])
    assert error_of(lambda: carriers(signed, {"manifest.json": raw(modelpack())})).reason is Reason.AttachmentMismatch


def test_the_fact_says_what_carries_the_model_and_speaks_of_the_files_alone() -> None:
    bundle, manifest = sign(model_signature_statement(FILES)), raw(modelpack())
    fact = establish(bundle, {"manifest.json": manifest}, anchors())
    assert fact.carriers == {"sha256:" + hashlib.sha256(manifest).hexdigest()}
    assert fact.subjects == establish(bundle, {}, anchors()).subjects
    assert establish(bundle, {}, anchors()).carriers == frozenset()
