"""Model signatures: a list of files that can mean one thing only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.sigstore import model_signature_statement
from sluice.provenance.digests import HEX_DIGITS
from sluice.provenance.errors import Reason
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_signature import ModelFile, ModelManifest, name_binding_digest, parse_model_manifest
from sluice.provenance.statement import parse_statement
from tests.signing import FILES, Json, error_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "name-binding-digest.md"


def parse(statement: dict[str, Json], edit: Callable[[Json], object] = lambda _: None, *, root: bool = False) -> ModelManifest:
    """Parse `statement` after `edit`; with `root`, its OMS root is computed anew, so that nothing but the edit is wrong."""
    document = json.loads(json.dumps(statement))
    edit(document)
    if root:
        digests = b"".join(bytes.fromhex(each["digest"]) for each in document["predicate"]["resources"])
        document["subject"][0]["digest"]["sha256"] = hashlib.sha256(digests).hexdigest()
    return parse_model_manifest(parse_statement(json.dumps(document).encode()))


def resources(document: Json) -> Json:
    return document["predicate"]["resources"]


def serialization(document: Json) -> Json:
    return document["predicate"]["serialization"]


GOOD = model_signature_statement(FILES)


def test_a_manifest_lists_the_files_that_were_signed() -> None:
    manifest = parse(GOOD)
    assert {file.name: file.digest for file in manifest.files} == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert manifest.oms_root == "sha256:" + GOOD["subject"][0]["digest"]["sha256"]
    assert manifest.model_name == "model"


def swap_names(document: Json) -> None:
    first, second = resources(document)
    first["name"], second["name"] = second["name"], first["name"]


def test_the_oms_root_does_not_bind_names_and_our_digest_does() -> None:
    renamed = parse(GOOD, swap_names)
    assert renamed.oms_root == parse(GOOD).oms_root
    assert renamed.digest != parse(GOOD).digest


def test_the_order_of_the_list_does_not_change_our_digest() -> None:
    assert parse(GOOD, lambda d: resources(d).reverse(), root=True).digest == parse(GOOD).digest


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../b", "./x", "a/./b", "a//b", "x/", "", ".", "..", "a\\b", "..\\x", "C:\\x", "a\x00b", "a\nb", "a\x7fb", "n" * 5000],
)
def test_a_path_that_is_not_plainly_below_the_model_is_refused(name: str) -> None:
    assert error_of(lambda: parse(GOOD, lambda d: resources(d)[0].update(name=name))).reason is Reason.ManifestMalformed


@pytest.mark.parametrize("name", ["a b", "ä/ö.bin", ".hidden", "a..b", "...", 'say "hi"', "model-00001-of-00002.safetensors"])
def test_an_unusual_name_is_a_name(name: str) -> None:
    assert name in {file.name for file in parse(GOOD, lambda d: resources(d)[0].update(name=name)).files}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: resources(d).append(dict(resources(d)[0])), "twice"),
        (lambda d: resources(d).clear(), "empty"),
        (lambda d: resources(d)[0].update(algorithm="md5"), "algorithm"),
        (lambda d: resources(d)[0].update(algorithm="sha512"), "algorithm"),
        (lambda d: resources(d)[0].update(algorithm="blake2b"), "made with 'sha256'"),
        (lambda d: resources(d)[0].update(algorithm="sha256-sharded-4"), "made with 'sha256'"),
        (lambda d: [serialization(d).update(hash_type="blake2b"), *(each.update(algorithm="blake2b") for each in resources(d))], "128 lower-case"),
        (lambda d: serialization(d).update(hash_type="md5"), "algorithm"),
        (lambda d: serialization(d).pop("hash_type"), "hash_type"),
        (lambda d: resources(d)[0].update(name="weights"), "as a folder"),
        (lambda d: resources(d)[0].update(digest=resources(d)[0]["digest"].upper()), "lower-case"),
        (lambda d: resources(d)[0].update(digest=resources(d)[0]["digest"] + "00"), "64 lower-case"),
        (lambda d: resources(d)[0].pop("name"), "name"),
        (lambda d: serialization(d).update(method="chunks"), "'files' and 'shards'"),
        (lambda d: serialization(d).update(method="shards"), "shard_size"),
        (lambda d: serialization(d).update(shard_size=1024), "shard_size"),
        (lambda d: serialization(d).update(allow_symlinks="no"), "allow_symlinks"),
        (lambda d: serialization(d).update(allow_symlinks=1), "allow_symlinks"),
        (lambda d: serialization(d).pop("allow_symlinks"), "allow_symlinks"),
        (lambda d: d["predicate"].pop("serialization"), "serialization"),
        (lambda d: d["subject"].append(d["subject"][0]), "2 subjects"),
    ],
)
def test_a_manifest_is_refused_when(edit: Callable[[Json], object], complaint: str) -> None:
    error = error_of(lambda: parse(GOOD, edit, root=True))
    assert error.reason is Reason.ManifestMalformed
    assert complaint in str(error)


def test_a_list_that_is_not_the_one_the_subject_was_made_of_is_refused() -> None:
    error = error_of(lambda: parse(GOOD, lambda d: resources(d)[0].update(digest="0" * 64)))
    assert "the listed files make" in str(error)


def test_files_listed_in_another_order_than_the_root_says_are_refused() -> None:
    assert "the listed files make" in str(error_of(lambda: parse(GOOD, lambda d: resources(d).reverse())))


@pytest.mark.parametrize(
    "paths", [["."], ["*"], [""], ["../model.sig"], ["/etc/x"], ["./x"], ["a//b"], ["a/"], ["*.sig"], ["a?"], ["[ab]"], [None], [3], ["\x00.sig"], [["x.sig"]]]
)
def test_what_the_signer_left_out_must_be_told_path_by_path(paths: list[Json]) -> None:
    assert error_of(lambda: parse(GOOD, lambda d: serialization(d).update(ignore_paths=paths))).reason is Reason.ManifestMalformed


def test_files_that_the_signer_left_out_are_listed_and_only_the_exact_path_accepts_one() -> None:
    left_out = parse(GOOD, lambda d: serialization(d).update(ignore_paths=["weights.tmp", ".git", "model.sig", "a/b.sig", ".git"]))
    assert left_out.uncovered == (".git", "a/b.sig", "weights.tmp")
    assert left_out.digest == parse(GOOD).digest
    assert left_out.uncovered_but([".git", "weights.tmp", "other"]) == ("a/b.sig",)
    assert left_out.uncovered_but(["a", ".gi", "weights.tmp/", "*"]) == left_out.uncovered


@pytest.mark.parametrize("paths", [[], None, ["model.sig"], ["model.sigstore.json"]])
def test_the_bundles_own_file_may_be_left_out(paths: list[str] | None) -> None:
    left_out = parse(GOOD, lambda d: serialization(d).update(ignore_paths=paths))
    assert (left_out.digest, left_out.uncovered) == (parse(GOOD).digest, ())


def test_whether_links_were_followed_is_told() -> None:
    assert parse(GOOD, lambda d: serialization(d).update(allow_symlinks=True)).follows_links
    assert not parse(GOOD).follows_links


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_every_algorithm_of_the_registry_is_read(algorithm: str) -> None:
    digits = "0" * HEX_DIGITS[algorithm][0]

    def rehash(document: Json) -> None:
        serialization(document)["hash_type"] = algorithm
        for each in resources(document):
            each.update(algorithm=algorithm, digest=digits)

    assert {file.tagged for file in parse(GOOD, rehash, root=True).files} == {f"{algorithm}:{digits}"}


def one_file(listed: str, model: str) -> Callable[[Json], None]:
    """Make the model one file, listed under a name."""

    def edit(document: Json) -> None:
        del resources(document)[1:]
        resources(document)[0]["name"] = listed
        document["subject"][0]["name"] = model

    return edit


def test_a_model_of_one_file_is_listed_under_its_name_as_well_as_under_a_dot() -> None:
    dotted, named = (parse(GOOD, one_file(name, "model.gguf"), root=True) for name in (".", "model.gguf"))
    assert dotted.digest == named.digest


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "../x"])
def test_a_model_of_one_file_whose_name_is_none_is_refused(name: str) -> None:
    assert error_of(lambda: parse(GOOD, one_file(".", name), root=True)).reason is Reason.ManifestMalformed


def test_more_entries_than_are_read_are_refused() -> None:
    statement = parse_statement(json.dumps(GOOD).encode())
    assert "at most 1 " in str(error_of(lambda: parse_model_manifest(statement, limit=1)))


def test_a_statement_of_another_type_is_no_model_signature() -> None:
    assert error_of(lambda: parse(GOOD, lambda d: d.update(predicateType="https://example.com/v1"))).reason is Reason.PredicateMalformed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_files_on_disk_have_the_digest_that_was_signed(model: Path) -> None:
    assert manifest_of(model) == parse(model_signature_statement(model))
    assert manifest_of(model).digest == parse(GOOD).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "config.json").write_bytes(b"{ }"),
        lambda model: (model / "config.json").rename(model / "config2.json"),
        lambda model: (model / "extra").write_bytes(b""),
        lambda model: (model / "config.json").unlink(),
    ],
)
def test_any_change_on_disk_changes_the_digest(model: Path, change: Callable[[Path], object]) -> None:
    before = manifest_of(model).digest
    change(model)
    assert manifest_of(model).digest != before


def test_the_bundle_beside_the_files_can_be_left_out_at_the_top_only(model: Path) -> None:
    (model / "model.sig").write_bytes(b"x")
    assert manifest_of(model, leave_out={"model.sig"}).digest == parse(GOOD).digest
    (model / "weights" / "model.sig").write_bytes(b"x")
    assert manifest_of(model, leave_out={"model.sig"}).digest != parse(GOOD).digest


def test_a_link_is_refused_wherever_it_leads(model: Path) -> None:
    (model / "link").symlink_to(model / "config.json")
    assert "link" in str(error_of(lambda: manifest_of(model)))


def test_a_folder_without_files_is_no_model(tmp_path: Path) -> None:
    assert error_of(lambda: manifest_of(tmp_path)).reason is Reason.ManifestMalformed


def test_a_name_that_is_not_utf8_is_refused(model: Path) -> None:
    (model / "bad\udcff").write_bytes(b"")
    assert "UTF-8" in str(error_of(lambda: manifest_of(model)))


def test_the_documented_vectors_hold() -> None:
    blocks = re.findall(r"```json\n(.*?)```\n+`(sha256:[0-9a-f]{64})`", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    for text, digest in blocks:
        files = [ModelFile(name, *tagged.split(":")) for name, tagged in json.loads(text)]
        assert name_binding_digest(files) == digest
        assert name_binding_digest(reversed(files)) == digest
