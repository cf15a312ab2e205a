"""`lost+found` at the top of a volume: passed over where nobody who loads from there could read it, and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sluice.provenance import model_tree
from sluice.provenance.errors import Reason
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_verification import FilesRefused, verify_on_disk


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "weights/a.bin").write_bytes(b"a")
    return tmp_path


@pytest.fixture
def lost_found(model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that cannot be opened, as that of an ext4 volume for everybody but root. Tests may be run by root."""
    folder = model / "lost+found"
    folder.mkdir(mode=0o700)
    real_open, real_stat = model_tree.Tree.open, os.stat

    def refuse(tree: model_tree.Tree, name: str) -> int:
        if name.endswith("lost+found"):
            raise PermissionError(13, "Permission denied", name)
        return real_open(tree, name)

    def of_root(path: Any, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
        about = list(real_stat(path, **options))
        about[stat.ST_UID] = 0 if about[stat.ST_UID] == os.getuid() else about[stat.ST_UID]
        return os.stat_result(about)

    monkeypatch.setattr(model_tree.Tree, "open", refuse)
    monkeypatch.setattr(os, "stat", of_root)
    return folder


def test_a_lost_and_found_that_only_root_may_read_is_passed_over_where_that_was_asked_for(model: Path, lost_found: Path) -> None:
    signed = manifest_of(model, leave_out=["lost+found"])
    assert verify_on_disk(signed, model, lost_found=True).files == 2
    with pytest.raises(PermissionError):
        verify_on_disk(signed, model)
    # What others than root may read, a server might load.
    for mode in (0o701, 0o710, 0o750, 0o755):
        lost_found.chmod(mode)
        with pytest.raises(PermissionError):
            verify_on_disk(signed, model, lost_found=True)


def test_a_lost_and_found_of_somebody_else_or_deeper_down_is_not_passed_over(model: Path, lost_found: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = manifest_of(model, leave_out=["lost+found"])
    with monkeypatch.context() as other:
        other.setattr(os, "stat", lambda *_, **__: os.stat_result((0o40700, 1, 1, 2, 1000, 1000, 0, 0, 0, 0)))
        with pytest.raises(PermissionError):
            verify_on_disk(signed, model, lost_found=True)
    lost_found.rename(model / "weights/lost+found")
    with pytest.raises(PermissionError):
        verify_on_disk(signed, model, lost_found=True)


def test_what_lies_in_a_lost_and_found_that_can_be_read_is_not_passed_over(model: Path) -> None:
    signed = manifest_of(model)
    (model / "lost+found").mkdir(mode=0o700)
    assert verify_on_disk(signed, model, lost_found=True).files == 2
    (model / "lost+found/#12").write_bytes(b"x")
    with pytest.raises(FilesRefused, match=r"lost\+found/#12 was not signed") as refused:
        verify_on_disk(signed, model, lost_found=True)
    assert refused.value.reason is Reason.UncoveredFiles
