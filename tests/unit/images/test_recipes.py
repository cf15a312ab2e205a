"""What the Containerfiles and the pinned lists say, against what else the checkout says."""

import re
import tomllib
from pathlib import Path

import pytest

from e2e.cluster import Narrator, StepFailed
from e2e.images import build_model
from e2e.images.inputs import CHECKOUT

CONTAINERFILES = [CHECKOUT / "Containerfile", *sorted((CHECKOUT / "e2e" / "images").glob("*.Containerfile"))]
PINNED = ("runtime", "demo", "model-server")


def pins(name: str) -> dict[str, str]:
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_the_image_starts_the_same_program_as_an_installed_sluice() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    module, function = project["project"]["scripts"]["sluice"].split(":")
    text = (CHECKOUT / "Containerfile").read_text(encoding="utf-8")
    assert rf"from {module} import {function}\n\nsys.exit({function}())" in text
    assert 'ENTRYPOINT ["sluice"]' in text


def test_everything_that_the_sluice_image_copies_gets_past_the_ignore_file() -> None:
    ignore = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (CHECKOUT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(copied) == allowed


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_no_image_runs_as_root(path: Path) -> None:
    final_stage = path.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", final_stage, re.MULTILINE) == ["65532:65532"]


@pytest.mark.parametrize("path", [path for path in CONTAINERFILES if path.name != "model.Containerfile"], ids=lambda path: path.name)
def test_no_package_gets_into_an_image_without_its_hash_being_checked(path: Path) -> None:
    for install in re.findall(r"pip .*\binstall\b[^&]*", path.read_text(encoding="utf-8")):
        assert "--require-hashes" in install
        assert "--only-binary=:all:" in install


def test_the_model_server_reads_weights_with_the_versions_that_wrote_them() -> None:
    trained_with, served_with = pins("demo"), pins("model-server")
    for package in ("numpy", "safetensors"):
        assert trained_with[package] == served_with[package]


@pytest.mark.parametrize("name", PINNED)
def test_pinned_lists_leave_it_to_the_reader_where_packages_come_from(name: str) -> None:
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert not re.search(r"^\s*--(index-url|extra-index-url|find-links|trusted-host)|://", text, re.MULTILINE)


def test_a_folder_that_the_server_could_not_load_makes_no_image(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(StepFailed, match=r"has no model-settings\.json"):
        build_model("digits", "1.0.0", tmp_path, narrator=Narrator(quiet=True))
