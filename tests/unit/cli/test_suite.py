"""`sluice suite`: everything that is wrong with a suite is told at once, and a file of cases always makes the same image."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from sluice.api.scoring import SuiteSpec
from sluice.cli import main
from sluice.scoring.cases_image import PATH, layout_of

GOOD = [{"id": f"c-{n}", "input": {"prompt": f"{n}?"}, "expect": {"text": "yes"}, "slices": {"region": "DACH" if n % 2 else "EMEA"}} for n in range(4)]


def lines(*cases: dict[str, Any] | str) -> bytes:
    return "".join(f"{case if isinstance(case, str) else json.dumps(case)}\n" for case in cases).encode()


def suite(folder: Path, cases: dict[str, Any], **spec: Any) -> Path:  # noqa: ANN401 - members of the suite
    protocol = {"type": "OpenAIChat", "port": 8080, "model": "churn", "sampling": {"maxTokens": 64}}
    scorers = [{"name": "accuracy", "type": "ExactMatch"}, {"name": "close", "type": "Numeric"}]
    body = {"protocol": protocol, "cases": cases, "slices": ["region"], "scorers": scorers} | spec
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "sluice.dev/v1alpha1", "kind": "ScoringSuite", "metadata": {"name": "s"}, "spec": body}))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["suite", *map(str, arguments)])


def test_a_suite_that_can_be_used_is_told_with_what_each_scorer_and_slice_has(tmp_path: Path) -> None:
    result = run("check", suite(tmp_path, {"inline": lines(*GOOD).decode()}))
    assert result.exit_code == 0, result.output
    assert "scorer  accuracy: 4 cases\nscorer  close: 0 cases\nslice   region=DACH: 2 cases\n" in result.output


def test_every_wrong_line_is_told_with_its_number(tmp_path: Path) -> None:
    wrong = lines(GOOD[0], "{", GOOD[0], {"id": "x", "input": {"prompt": "?"}, "expects": {}}, {"id": "t", "input": {"text": "embed me"}})
    result = run("check", suite(tmp_path, {"inline": wrong.decode()}))
    assert result.exit_code == 1
    told = [line for line in result.output.splitlines() if line.startswith("wrong")]
    assert [line.split(":")[0] for line in told] == ["wrong   line 2", "wrong   line 3", "wrong   line 4", "wrong   case 't'"]


def test_scorers_that_say_nothing_about_any_case_are_no_suite(tmp_path: Path) -> None:
    result = run("check", suite(tmp_path, {"inline": lines(*GOOD).decode()}, scorers=[{"name": "close", "type": "Numeric"}]))
    assert result.exit_code == 1
    assert "no scorer compares candidate and baseline on any case" in result.output


def test_a_scorer_in_a_container_alone_makes_a_suite(tmp_path: Path) -> None:
    own = {"name": "own", "type": "Container", "container": {"image": f"r.example.com/own@sha256:{'0' * 64}"}}
    result = run("check", suite(tmp_path, {"inline": lines(*GOOD).decode()}, scorers=[own]))
    assert result.exit_code == 0, result.output


def test_what_a_suite_says_of_cases_elsewhere_is_held_against_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(lines(*GOOD))
    packed = run("pack", "--cases", file, "--output", tmp_path / "image", "--repository", "r.example.com/cases")
    assert packed.exit_code == 0, packed.output
    cases = yaml.safe_load(packed.output)["cases"]
    assert run("check", suite(tmp_path, cases), "--cases", file).exit_code == 0
    fewer = run("check", suite(tmp_path, {"oci": cases["oci"] | {"count": 3}}), "--cases", file)
    assert (fewer.exit_code, "write count: 4" in fewer.output) == (1, True)
    another = run("check", suite(tmp_path, {"oci": cases["oci"] | {"digest": "sha256:" + "0" * 64}}), "--cases", file)
    assert (another.exit_code, "the suite names sha256:000" in another.output) == (1, True)


def test_a_file_makes_an_image_that_holds_it_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(lines(*GOOD))
    folder = tmp_path / "image"
    result = run("pack", "--cases", file, "--output", folder, "--repository", "r.example.com/cases")
    oci = SuiteSpec.model_fields["cases"].annotation.model_validate(yaml.safe_load(result.output)["cases"]).oci  # type: ignore[union-attr]
    digest = oci.reference.rpartition("@")[2]
    manifest = json.loads((folder / "blobs" / digest.replace(":", "/")).read_bytes())
    layer = (folder / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        assert archive.getnames() == [PATH] == [oci.path]
        content = archive.extractfile(PATH)
        assert content is not None
        assert content.read() == file.read_bytes()
    for blob in (folder / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert layout_of(file.read_bytes()).digest == digest, "the same file, another image"
    assert run("pack", "--cases", file, "--output", folder).exit_code == 2, "an image was written over another"


def test_cases_that_cannot_be_read_are_not_packed(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(lines(GOOD[0], GOOD[0]))
    result = run("pack", "--cases", file, "--output", tmp_path / "image")
    assert result.exit_code == 2
    assert "line 2" in result.output
    assert not (tmp_path / "image").exists()


def test_a_suite_that_a_cluster_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    path = suite(tmp_path, {"inline": lines(*GOOD).decode()})
    text = path.read_text()
    for written, words in ((text + "kind: ScoringSuite\n", "member 'kind' is there twice"), (f"{text}---\n{text}", "there are 2 objects in it")):
        path.write_text(written)
        result = run("check", path)
        assert (result.exit_code, words in result.output) == (2, True), result.output
