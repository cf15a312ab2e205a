"""`sluice verify-weights`: nothing but exactly the pinned files ends with 0, and the last word is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from e2e.sigstore import model_signature_statement
from sluice.provenance import model_tree
from sluice.provenance.model_directory import manifest_of
from tests.signing import ISSUER, TRAINER, edited, flipped, sign, sigstore
from tests.unit.cli.models import Desk, desk, run


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    at = desk(tmp_path)
    assert at.sign("--bundle", tmp_path / "bundle.json").exit_code == 0
    (tmp_path / "log").write_text("")
    return at


def digest(at: Desk) -> str:
    return manifest_of(at.model).digest


def look(at: Desk, *options: object, pinned: str | None = None, **variables: str) -> Result:
    log = at.folder / "log"
    return run(
        "verify-weights",
        at.model,
        "--bundle-file",
        at.folder / "bundle.json",
        "--digest",
        pinned or digest(at),
        "--termination-log",
        log,
        *options,
        **variables,
    )


def last_word(at: Desk) -> str:
    return (at.folder / "log").read_text()


def test_the_pinned_files_are_verified_without_a_key(at: Desk) -> None:
    assert look(at).exit_code == 0
    assert last_word(at) == f"verified 2 files, 4 bytes: {digest(at)}\n"


def test_everything_may_come_from_variables(at: Desk) -> None:
    variables = {"SLUICE_MODEL_DIR": str(at.model), "SLUICE_BUNDLE_FILE": str(at.folder / "bundle.json"), "SLUICE_DIGEST": digest(at)}
    assert run("verify-weights", **variables).exit_code == 0
    assert run("verify-weights", **variables | {"SLUICE_DIGEST": "sha256:" + "0" * 64}).exit_code == 1


def test_a_changed_file_is_named_in_the_last_word(at: Desk) -> None:
    pinned = digest(at)
    (at.model / "config.json").write_bytes(b"[]")
    assert look(at, pinned=pinned).exit_code == 1
    assert last_word(at) == "NOT VERIFIED (FilesDiffer): config.json differs from what was signed\n"


def test_a_list_with_another_digest_is_not_the_one_that_the_release_pins(at: Desk) -> None:
    (at.model / "config.json").write_bytes(b"[]")
    assert look(at, pinned=digest(at)).exit_code == 1
    assert last_word(at).startswith("NOT VERIFIED (ArtifactMismatch): the release pins")


def test_what_nobody_signed_is_refused_unless_it_is_accepted(at: Desk) -> None:
    pinned = digest(at)
    (at.model / "lost+found").mkdir()
    (at.model / "extra.py").write_bytes(b"")
    assert look(at, pinned=pinned).exit_code == 1
    assert look(at, "--allow-uncovered", "extra.py", pinned=pinned).exit_code == 0
    assert look(at, pinned=pinned, SLUICE_ALLOW_UNCOVERED="other extra.py").exit_code == 0


def test_a_lost_and_found_is_passed_over_only_where_that_was_asked_for(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = digest(at)
    (at.model / "lost+found").mkdir(mode=0o700)
    real = model_tree.Tree.open

    def refuse(tree: model_tree.Tree, name: str) -> int:
        if name == "lost+found":
            raise PermissionError(13, "Permission denied", name)
        return real(tree, name)

    monkeypatch.setattr(model_tree.Tree, "open", refuse)
    monkeypatch.setattr(model_tree.Tree, "_is_for_root_alone", lambda _tree, name: name == "lost+found")
    assert look(at, pinned=pinned).exit_code == 3
    assert last_word(at) == "could not tell: lost+found: Permission denied\n"
    assert look(at, "--skip-lost-found", pinned=pinned).exit_code == 0


def test_with_a_trust_root_the_signature_counts_too(at: Desk) -> None:
    root = at.folder / "trusted_root.json"
    root.write_text(sigstore().trusted_root_json)
    good = sign(model_signature_statement(at.model))
    bundle = at.folder / "bundle.json"
    bundle.write_bytes(good)
    trust = ["--trust-root-file", root, "--identity", TRAINER, "--issuer", ISSUER]
    assert look(at, *trust).exit_code == 0
    bundle.write_bytes(edited(good, lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=flipped(d["dsseEnvelope"]["signatures"][0]["sig"], 8))))
    assert look(at).exit_code == 0
    assert look(at, *trust).exit_code == 1
    bundle.write_bytes(good)
    assert look(at, *trust[:2], "--identity", "mallory@example.com", "--issuer", ISSUER).exit_code == 1


@pytest.mark.parametrize("pinned", ["sha256:00", "SHA256:" + "a" * 64, "a" * 64, "md5:" + "a" * 64])
def test_a_digest_that_is_none_is_a_mistake_of_whoever_wrote_it(at: Desk, pinned: str) -> None:
    assert look(at, pinned=pinned).exit_code == 2


def test_an_identity_without_a_trust_root_would_not_be_looked_at(at: Desk) -> None:
    assert look(at, "--identity", TRAINER).exit_code == 2


def test_a_bundle_that_is_not_there_is_no_answer(at: Desk) -> None:
    (at.folder / "bundle.json").unlink()
    assert look(at).exit_code == 3
    assert last_word(at).startswith("could not tell: ")


def test_a_mistake_of_ours_is_no_answer(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = digest(at)
    monkeypatch.setattr(model_tree.Tree, "entries", None)
    assert look(at, pinned=pinned).exit_code == 3


def test_the_last_word_is_short_and_a_pod_without_a_log_for_it_ends_as_well(at: Desk) -> None:
    pinned = digest(at)
    (at.model / ("x" * 200)).write_bytes(b"")
    look(at, pinned=pinned)
    assert len(last_word(at).encode()) < 1100
    assert look(at, "--termination-log", at.folder / "nowhere", pinned=pinned).exit_code == 1
    assert not (at.folder / "nowhere").exists()


def test_only_the_listed_digest_counts_and_not_the_signature(at: Desk) -> None:
    """Whoever could sign another list with the same name-binding digest would have broken SHA-256."""
    document = json.loads((at.folder / "bundle.json").read_bytes())
    document["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    (at.folder / "bundle.json").write_text(json.dumps(document))
    assert look(at).exit_code == 0
