"""A model on disk: what is there was signed, what was signed is there, and nothing is reached through a link."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.provenance import model_hashing, model_tree
from sluice.provenance.errors import Reason
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_signature import ModelManifest, manifest
from sluice.provenance.model_tree import Fault
from sluice.provenance.model_verification import FAULTS_TOLD, FilesRefused, ModelOnDisk, verify_on_disk
from tests.signing import error_of

CONTENT = {"config.json": b"{}", "weights/a.bin": b"0123456789" * 100, "weights/b.bin": b"b", "empty": b""}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def linked(signed: ModelManifest) -> ModelManifest:
    """The same list, of a signer who followed links."""
    return manifest(model_name=signed.model_name, files=signed.files, root=signed.oms_root, follows_links=True)


def faults(act: Callable[[], ModelOnDisk]) -> dict[str, Fault]:
    error = error_of(act)
    assert isinstance(error, FilesRefused)
    return {each.name: each.fault for each in error.faults}


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_as_it_was_signed_is_verified(model: Path, algorithm: str, threads: int) -> None:
    told: list[int] = []
    on_disk = verify_on_disk(manifest_of(model, algorithm=algorithm), model, threads=threads, progress=told.append)
    assert on_disk == ModelOnDisk(files=4, bytes=1003, partial=False, uncovered=())
    assert sum(told) == 1003


@pytest.mark.parametrize("shard_size", [1, 7, 1000, 5000])
def test_shards_of_any_size_are_verified(model: Path, shard_size: int) -> None:
    (model / "empty").unlink()
    signed = manifest_of(model, shard_size=shard_size)
    assert verify_on_disk(signed, model).bytes == 1003
    (model / "weights/a.bin").write_bytes(b"0123456789" * 99 + b"012345678x")
    assert faults(lambda: verify_on_disk(signed, model)) == {"weights/a.bin": Fault.CHANGED}


def replaced(path: Path, instead: Callable[[Path], object]) -> None:
    path.unlink()
    instead(path)


def moved_out(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[1] / "elsewhere"))


CHANGES: list[tuple[Callable[[Path], object], dict[str, Fault]]] = [
    (lambda m: (m / "config.json").write_bytes(b"{ }"), {"config.json": Fault.CHANGED}),
    (lambda m: (m / "config.json").write_bytes(b"[]"), {"config.json": Fault.CHANGED}),
    (lambda m: (m / "config.json").unlink(), {"config.json": Fault.MISSING}),
    (lambda m: (m / "config.json").rename(m / "config2.json"), {"config.json": Fault.MISSING, "config2.json": Fault.UNSIGNED}),
    (lambda m: (m / "weights/.hidden").write_bytes(b""), {"weights/.hidden": Fault.UNSIGNED}),
    (lambda m: (m / "x").symlink_to("config.json"), {"x": Fault.LINK}),
    (lambda m: (m / "x").symlink_to("nowhere"), {"x": Fault.LINK}),
    (lambda m: (m / "x").symlink_to("weights"), {"x": Fault.LINK}),
    (lambda m: os.mkfifo(m / "x"), {"x": Fault.SPECIAL}),
    (lambda m: replaced(m / "empty", os.mkfifo), {"empty": Fault.SPECIAL}),
    (lambda m: replaced(m / "empty", Path.mkdir), {"empty": Fault.MISSING}),
    (lambda m: replaced(m / "empty", lambda path: path.symlink_to("/dev/null")), {"empty": Fault.LINK}),
    (lambda m: moved_out(m / "weights"),
     {"weights": Fault.LINK, "weights/a.bin": Fault.MISSING, "weights/b.bin": Fault.MISSING}),
    (lambda m: (m / "bad\udcff").write_bytes(b""), {"bad\udcff": Fault.UNSIGNED}),
    (lambda m: (m / "a\nb").write_bytes(b""), {"a\nb": Fault.UNSIGNED}),
    (lambda m: [(m / "weights/a.bin").rename(m / "t"), (m / "weights/b.bin").rename(m / "weights/a.bin"), (m / "t").rename(m / "weights/b.bin")],
     {"weights/a.bin": Fault.CHANGED, "weights/b.bin": Fault.CHANGED}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_a_model_that_is_not_as_it_was_signed_is_refused_and_each_file_named(model: Path, change: Callable[[Path], object], expected: dict[str, Fault]) -> None:
    signed = manifest_of(model)
    change(model)
    assert faults(lambda: verify_on_disk(signed, model)) == expected


def test_an_empty_folder_is_nothing_and_a_hard_link_is_a_file(model: Path) -> None:
    signed = manifest_of(model)
    (model / "folder").mkdir()
    (model / "config.json").rename(model.parent / "elsewhere")
    (model / "config.json").hardlink_to(model.parent / "elsewhere")
    assert verify_on_disk(signed, model).files == 4


def test_files_that_nobody_signed_have_a_reason_of_their_own(model: Path) -> None:
    signed = manifest_of(model)
    (model / "extra").write_bytes(b"")
    assert error_of(lambda: verify_on_disk(signed, model)).reason is Reason.UncoveredFiles
    (model / "empty").unlink()
    assert error_of(lambda: verify_on_disk(signed, model)).reason is Reason.FilesDiffer


def test_what_nobody_signed_is_accepted_at_the_named_path_and_below_and_nowhere_else(model: Path) -> None:
    signed = manifest_of(model)
    for name in (".git/HEAD", ".git/hooks/run", ".github/ci.yml", "notes"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(b"x")
    assert faults(lambda: verify_on_disk(signed, model, accept_uncovered=[".git", "not"])) == {".github/ci.yml": Fault.UNSIGNED, "notes": Fault.UNSIGNED}
    accepted = [".git", ".github/ci.yml", "notes", "never-there"]
    assert verify_on_disk(signed, model, accept_uncovered=accepted).uncovered == (".git", ".github/ci.yml", "notes")


def test_what_the_signer_left_out_is_not_accepted_for_that(model: Path) -> None:
    (model / "tokenizer.py").write_bytes(b"x")
    signed = manifest_of(model, leave_out=["tokenizer.py"])
    assert signed.uncovered == ("tokenizer.py",)
    assert faults(lambda: verify_on_disk(signed, model)) == {"tokenizer.py": Fault.UNSIGNED}


def test_an_accepted_path_excuses_no_file_of_the_list(model: Path) -> None:
    signed = manifest_of(model)
    (model / "weights/a.bin").write_bytes(b"x")
    assert faults(lambda: verify_on_disk(signed, model, accept_uncovered=["weights"])) == {"weights/a.bin": Fault.CHANGED}


def test_what_is_accepted_is_not_looked_into(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever verifies need not be allowed to."""
    (model / "lost+found/deep").mkdir(parents=True)
    signed = manifest_of(model, leave_out=["lost+found"])
    real = model_tree.Tree.open

    def refuse(tree: model_tree.Tree, name: str) -> int:
        if name.startswith("lost+found"):
            raise PermissionError(13, "Permission denied", name)
        return real(tree, name)

    monkeypatch.setattr(model_tree.Tree, "open", refuse)
    with pytest.raises(PermissionError):
        verify_on_disk(signed, model)
    assert verify_on_disk(signed, model, accept_uncovered=["lost+found"]).uncovered == ("lost+found",)
    assert manifest_of(model, leave_out=["lost+found"]).digest == signed.digest


def test_the_bundle_beside_the_files_is_no_file_of_the_model_and_another_one_is(model: Path) -> None:
    signed = manifest_of(model)
    bundle = model / "model.sig"
    bundle.write_bytes(b"bundle")
    assert verify_on_disk(signed, model, bundle=bundle).files == 4
    (model / "other.sig").write_bytes(b"bundle")
    assert faults(lambda: verify_on_disk(signed, model, bundle=bundle)) == {"other.sig": Fault.UNSIGNED}


def test_a_list_in_shards_covers_no_empty_file(model: Path) -> None:
    error = error_of(lambda: manifest_of(model, shard_size=100))
    assert "empty" in str(error)
    signed = manifest_of(model, shard_size=100, leave_out=["empty"])
    assert faults(lambda: verify_on_disk(signed, model)) == {"empty": Fault.UNSIGNED}
    assert verify_on_disk(signed, model, accept_uncovered=["empty"]).uncovered == ("empty",)


def test_some_files_are_verified_alone_and_nothing_is_said_of_the_others(model: Path) -> None:
    signed = manifest_of(model)
    (model / "config.json").write_bytes(b"changed")
    (model / "extra").write_bytes(b"")
    on_disk = verify_on_disk(signed, model, only=["weights/a.bin", "empty"])
    assert (on_disk.files, on_disk.bytes, on_disk.partial) == (2, 1000, True)
    assert faults(lambda: verify_on_disk(signed, model, only=["empty", "config.json"])) == {"config.json": Fault.CHANGED}
    assert faults(lambda: verify_on_disk(signed, model, only=["extra", "../model/empty"])) == {"extra": Fault.UNSIGNED, "../model/empty": Fault.UNSIGNED}


def test_some_files_that_are_none_are_refused(model: Path) -> None:
    assert error_of(lambda: verify_on_disk(manifest_of(model), model, only=[])).reason is Reason.FilesDiffer


@pytest.mark.parametrize("instead", [lambda _: None, lambda path: path.symlink_to("config.json"), Path.mkdir, os.mkfifo])
def test_one_of_some_files_that_is_not_there_as_a_file_is_refused(model: Path, instead: Callable[[Path], object]) -> None:
    signed = manifest_of(model)
    replaced(model / "empty", instead)
    assert set(faults(lambda: verify_on_disk(signed, model, only=["empty"]))) == {"empty"}


def test_a_model_of_one_file_is_verified_under_any_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    signed = manifest_of(file)
    assert [each.name for each in signed.files] == ["model.gguf"]
    (tmp_path / "neighbour").write_bytes(b"")
    assert verify_on_disk(signed, file).files == 1
    file.write_bytes(b"changed")
    assert faults(lambda: verify_on_disk(signed, file)) == {"model.gguf": Fault.CHANGED}


class TestLinksThatTheSignerFollowed:
    """Followed within the folder, by hand."""

    def test_a_link_within_the_model_is_what_it_leads_to(self, model: Path) -> None:
        signed = linked(manifest_of(model))
        (model / "weights/b.bin").rename(model / "weights/real")
        (model / "weights/b.bin").symlink_to("../weights/./real")
        assert faults(lambda: verify_on_disk(signed, model)) == {"weights/real": Fault.UNSIGNED}
        assert verify_on_disk(signed, model, accept_uncovered=["weights/real"]).files == 4

    def test_a_linked_folder_is_walked(self, model: Path) -> None:
        signed = linked(manifest_of(model))
        (model / "weights").rename(model / "real")
        (model / "weights").symlink_to("real")
        assert set(faults(lambda: verify_on_disk(signed, model))) == {"real/a.bin", "real/b.bin"}
        assert verify_on_disk(signed, model, accept_uncovered=["real"]).bytes == 1003

    @pytest.mark.parametrize(
        "target",
        ["/etc/passwd", "/config.json", "../outside", "../model/config.json", "weights/../../outside", "x", "nowhere", ".", "weights/..", "/", "config.json/y"],
    )
    def test_a_link_that_leaves_the_model_or_goes_in_circles_is_refused(self, model: Path, target: str) -> None:
        (model.parent / "outside").write_bytes(b"")
        signed = linked(manifest_of(model))
        (model / "x").symlink_to(target)
        assert faults(lambda: verify_on_disk(signed, model)) == {"x": Fault.STRAY_LINK}

    def test_a_signed_file_is_not_looked_for_outside(self, model: Path) -> None:
        signed = linked(manifest_of(model))
        (model / "config.json").rename(model.parent / "config.json")
        (model / "config.json").symlink_to("../config.json")
        assert faults(lambda: verify_on_disk(signed, model)) == {"config.json": Fault.STRAY_LINK}
        assert faults(lambda: verify_on_disk(signed, model, only=["config.json"])) == {"config.json": Fault.STRAY_LINK}


def test_a_file_that_changes_while_it_is_read_has_no_digest(model: Path) -> None:
    large = model / "large"
    large.write_bytes(bytes(9 << 20))
    signed = manifest_of(model)

    def grow(_: int) -> None:
        with large.open("ab") as file:
            file.write(b"x")

    assert faults(lambda: verify_on_disk(signed, model, only=["large"], progress=grow)) == {"large": Fault.MOVING}


def test_a_file_that_is_replaced_by_its_like_between_two_shards_has_no_digest(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard has its digest, and no file ever had them all."""
    (model / "empty").unlink()
    signed = manifest_of(model, shard_size=600)
    real = model_hashing._Worker.hash

    def replace_afterwards(worker: object, piece: model_hashing.Piece) -> model_hashing.Hashed:
        hashed = real(worker, piece)  # type: ignore[arg-type]  # as the class calls it
        (model.parent / "new").write_bytes(CONTENT["weights/a.bin"])
        (model.parent / "new").rename(model / "weights/a.bin")
        return hashed

    monkeypatch.setattr(model_hashing._Worker, "hash", replace_afterwards)
    assert faults(lambda: verify_on_disk(signed, model, only=["weights/a.bin"], threads=1)) == {"weights/a.bin": Fault.MOVING}


def test_a_link_that_appears_after_the_listing_is_not_followed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = manifest_of(model)
    real = model_tree.Tree.entries

    def swap_afterwards(tree: model_tree.Tree, **options: Any) -> list[model_tree.Found]:  # noqa: ANN401 - as it takes them
        entries = list(real(tree, **options))
        (model / "weights").rename(model.parent / "moved")
        (model / "weights").symlink_to("../moved")
        return entries

    monkeypatch.setattr(model_tree.Tree, "entries", swap_afterwards)
    assert faults(lambda: verify_on_disk(signed, model)) == {"weights/a.bin": Fault.LINK, "weights/b.bin": Fault.LINK}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_be_read_is_no_answer(model: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    signed = manifest_of(model)

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(OSError, match="Input/output error"):
        verify_on_disk(signed, model, threads=threads)


def test_a_folder_that_is_not_there_is_no_answer(model: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_on_disk(manifest_of(model), model.parent / "nowhere")


def test_more_faults_than_are_told_are_counted(model: Path) -> None:
    signed = manifest_of(model)
    for number in range(FAULTS_TOLD + 5):
        (model / f"extra-{number:03}").write_bytes(b"")
    error = error_of(lambda: verify_on_disk(signed, model))
    assert isinstance(error, FilesRefused)
    assert (len(error.faults), error.count) == (FAULTS_TOLD, FAULTS_TOLD + 5)
    assert str(error) == f"extra-000 was not signed, and {FAULTS_TOLD + 4} more"


def test_a_name_moves_no_cursor(model: Path) -> None:
    signed = manifest_of(model)
    (model / "\x1b[2J\udcff").write_bytes(b"")
    assert str(error_of(lambda: verify_on_disk(signed, model))) == "?[2J? was not signed"


def test_too_many_entries_are_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = manifest_of(model)
    monkeypatch.setattr(model_tree, "ENTRY_LIMIT", 3)
    assert "more than 3" in str(error_of(lambda: verify_on_disk(signed, model)))
    assert "more than 3" in str(error_of(lambda: manifest_of(model)))


def test_folders_that_are_too_deep_are_refused(model: Path) -> None:
    signed = manifest_of(model)
    (model / "/".join("d" * (model_tree.DEPTH_LIMIT + 1))).mkdir(parents=True)
    assert "deeper" in str(error_of(lambda: verify_on_disk(signed, model)))


def test_memory_does_not_grow_with_the_model(model: Path) -> None:
    with (model / "sparse").open("wb") as file:
        file.truncate(64 << 20)
    signed = manifest_of(model, algorithm="blake3")
    tracemalloc.start()
    try:
        verify_on_disk(signed, model, threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * model_hashing.CHUNK_BYTES + (1 << 20)


def test_no_file_stays_open(model: Path) -> None:
    signed = linked(manifest_of(model))
    (model / "x").symlink_to("..")
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        error_of(lambda: verify_on_disk(signed, model))
        verify_on_disk(signed, model, only=["weights/a.bin"])
    assert sorted(Path("/proc/self/fd").iterdir()) == before
