r"""OpenSSF model signatures: a signed list of files, and one digest that binds their names.

The statement's own subject, the OMS root, is SHA-256 over the files' digests in the order of the list. It does not cover their names: `tokenizer.json` and
`config.json` can change places and keep the root. Evidence therefore binds to the *name-binding digest* (docs/name-binding-digest.md), which we compute.

What the reference implementation accepts and we refuse: paths that are absolute, leave the folder or have a second spelling (`./x`, `a//b`, `a\\b`); a name
twice; an empty list; files that the signer chose to leave uncovered.

Specification: https://github.com/ossf/model-signing-spec (predicate type v1.0)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from sluice.provenance.digests import HEX_DIGITS, is_hex_digest, sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical, member, objects, optional

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
FILE_LIMIT = 20_000
_PATH_LIMIT = 4096
_ALGORITHMS = frozenset({"sha256", "blake2b", "blake3"})
_BUNDLE_ENDINGS = (".sig", ".sigstore", ".sigstore.json")
_MALFORMED = Reason.ManifestMalformed
_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x1f\x7f\\]")
_STRAY_PART = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)")  # a part that is empty, "." or ".."


@dataclass(frozen=True, slots=True, order=True)
class ModelFile:
    """One file of a model: its path below the model's folder, with `/`, and its digest."""

    name: str
    algorithm: str
    digest: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """The files of a model, sorted by the bytes of their names."""

    model_name: str
    oms_root: str
    """`sha256:` over the digests alone: an alias for display, which binds no names."""
    files: tuple[ModelFile, ...]
    digest: str
    """The name-binding digest: what releases and evidence name."""


def parse_model_manifest(statement: Statement) -> ModelManifest:
    """Read the file list of a model signature. Raises ProvenanceError: PredicateMalformed, ManifestMalformed, UncoveredFiles."""
    with closed(_MALFORMED, "the model signature does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(Reason.PredicateMalformed, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        if len(statement.subjects) != 1:
            raise ProvenanceError(_MALFORMED, f"a model signature has {len(statement.subjects)} subjects; exactly one is the model")
        subject = statement.subjects[0]
        _check_serialization(member(statement.predicate, "serialization", dict, where="predicate", reason=_MALFORMED))
        entries = objects(
            member(statement.predicate, "resources", list, where="predicate", reason=_MALFORMED),
            where="predicate.resources",
            reason=_MALFORMED,
            limit=FILE_LIMIT,
        )
        files = [_file(entry, where=f"predicate.resources[{index}]") for index, entry in enumerate(entries)]
        root = oms_root(files)
        if root != subject.sha256:
            raise ProvenanceError(_MALFORMED, f"the subject is {subject.sha256}, the listed files make {root}: the list is not the one that was meant")
        return manifest(model_name=subject.name, files=files, root=root)


def manifest(*, model_name: str, files: Iterable[ModelFile], root: str) -> ModelManifest:
    """A manifest of `files` in canonical order. Raises ProvenanceError (ManifestMalformed) when there are none, or a name is bad or there twice."""
    ordered = tuple(sorted(files, key=lambda file: file.name.encode("utf-8")))
    if not ordered:
        raise ProvenanceError(_MALFORMED, "the list of files is empty: nothing of the model is covered")
    for file in ordered:
        check_path(file.name)
    for previous, file in pairwise(ordered):
        if file.name == previous.name:
            raise ProvenanceError(_MALFORMED, f"file {file.name[:200]!r} is listed twice")
    return ModelManifest(model_name=model_name, oms_root=root, files=ordered, digest=name_binding_digest(ordered))


def name_binding_digest(files: Iterable[ModelFile]) -> str:
    """SHA-256 over the canonical JSON of `[[name, "algorithm:hex"], …]`, sorted by the UTF-8 bytes of the names (docs/name-binding-digest.md)."""
    pairs = [[file.name, f"{file.algorithm}:{file.digest}"] for file in sorted(files, key=lambda file: file.name.encode("utf-8"))]
    return sha256_of(canonical(pairs))


def oms_root(files: Iterable[ModelFile]) -> str:
    """The OMS root: SHA-256 over the raw digests in the order of the list."""
    return "sha256:" + hashlib.sha256(b"".join(bytes.fromhex(file.digest) for file in files)).hexdigest()


def check_path(path: str) -> None:
    """Refuse a path that is not plainly one file below the model's folder. Raises ProvenanceError (ManifestMalformed)."""
    if len(path) > _PATH_LIMIT:
        raise ProvenanceError(_MALFORMED, f"a file name is {len(path):,} characters long; at most {_PATH_LIMIT:,} are read")
    if _FORBIDDEN_CHARACTER.search(path):
        raise ProvenanceError(_MALFORMED, f"file name {path[:200]!r} holds a backslash or a control character")
    if _STRAY_PART.search(path):
        raise ProvenanceError(_MALFORMED, f"file name {path[:200]!r} is not plainly a path below the model: no '/' at either end, no empty, '.' or '..' part")


def _file(entry: JsonObject, *, where: str) -> ModelFile:
    algorithm = member(entry, "algorithm", str, where=where, reason=_MALFORMED)
    if algorithm not in _ALGORITHMS:
        raise ProvenanceError(_MALFORMED, f"{where}.algorithm is {algorithm[:40]!r}; {', '.join(sorted(_ALGORITHMS))} are read")
    digest = member(entry, "digest", str, where=where, reason=_MALFORMED)
    if not is_hex_digest(algorithm, digest):
        raise ProvenanceError(_MALFORMED, f"{where}.digest is not {HEX_DIGITS[algorithm]} lower-case hexadecimal digits")
    return ModelFile(name=member(entry, "name", str, where=where, reason=_MALFORMED), algorithm=algorithm, digest=digest)


def _check_serialization(serialization: JsonObject) -> None:
    where = "predicate.serialization"
    method = text(serialization, "method", where=where, reason=_MALFORMED)
    if method != "files":
        raise ProvenanceError(_MALFORMED, f"{where}.method is {method[:40]!r}; sign whole files (method 'files')")
    if optional(serialization, "allow_symlinks", bool, where=where, reason=_MALFORMED):
        raise ProvenanceError(_MALFORMED, f"{where}.allow_symlinks is true: a link's target can change after signing; sign without links")
    ignored = optional(serialization, "ignore_paths", list, where=where, reason=_MALFORMED) or []
    uncovered = [path for path in ignored if not _is_bundle_file(path)]
    if uncovered:
        raise ProvenanceError(
            Reason.UncoveredFiles, f"{where}.ignore_paths leaves {str(uncovered[0])[:200]!r} out of the signature; only the bundle's own file may be left out"
        )


def _is_bundle_file(path: JsonValue) -> bool:
    """Whether `path` names the signature's own file beside the model's files, which cannot be in its own list."""
    return isinstance(path, str) and "/" not in path and path.endswith(_BUNDLE_ENDINGS) and path.isprintable() and not any(wild in path for wild in "*?[\\")
