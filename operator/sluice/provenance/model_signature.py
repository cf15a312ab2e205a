r"""OpenSSF model signatures: a signed list of files, and one digest that binds their names.

The statement's own subject, the OMS root, is SHA-256 over the listed digests in the order of the list. It does not cover their names: `tokenizer.json` and
`config.json` can change places and keep the root. Evidence therefore binds to the *name-binding digest* (docs/name-binding-digest.md), which we compute.

Files may be listed whole (`files`) or in pieces of one size (`shards`, see `model_shards`). What the reference implementation accepts and we refuse: paths that
are absolute, leave the folder or have a second spelling (`./x`, `a//b`, `a\\b`); a name twice, or as a file and a folder; an empty list; `ignore_paths` that
are no plain paths. Paths that the signer left out are listed as `uncovered`: whether that is accepted is for the policy to say, path by path.

Specification: https://github.com/ossf/model-signing-spec (SPEC.md version 1.0; sections are named where a rule comes from one)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from sluice.provenance.digests import hex_digits, is_hex_digest
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.model_files import ALGORITHMS, ModelFile, check_path, name_binding_digest
from sluice.provenance.model_shards import files_of_shards, listed
from sluice.provenance.statement import STATEMENT_TYPE, Statement, text
from sluice.provenance.strict_json import JsonObject, JsonValue, member, objects, optional

__all__ = [
    "ALGORITHMS",
    "FILE_LIMIT",
    "PREDICATE_TYPE",
    "ModelFile",
    "ModelManifest",
    "check_path",
    "manifest",
    "name_binding_digest",
    "oms_root",
    "parse_model_manifest",
]

PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
FILE_LIMIT: Final = 20_000
"""Files or shards in the bundle of a resource. At a desk more are read: see `model_verification`."""

_UNCOVERED_LIMIT = 1000
_THE_MODEL_ITSELF = "."
"""How `model_signing` lists a model that is one file, where the specification (6.1.2) has its name."""
_BUNDLE_ENDINGS = (".sig", ".sigstore", ".sigstore.json")
_MALFORMED = Reason.ManifestMalformed
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """The files of a model, sorted by the bytes of their names."""

    model_name: str
    oms_root: str
    """`sha256:` over the digests alone: an alias for display, which binds no names."""
    files: tuple[ModelFile, ...]
    digest: str
    """The name-binding digest: what releases and evidence name."""
    uncovered: tuple[str, ...] = ()
    """Paths that the signer left out, sorted: whatever lies there, or below, nobody has signed."""
    follows_links: bool = False
    """Whether the signer hashed what symbolic links lead to."""

    def uncovered_but(self, accepted: Iterable[str]) -> tuple[str, ...]:
        """The uncovered paths that `accepted` does not name exactly."""
        known = frozenset(accepted)
        return tuple(path for path in self.uncovered if path not in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serialization:
    """How the signer made the list (5.2.2)."""

    algorithm: str
    shard_size: int
    """0: whole files."""
    follows_links: bool
    uncovered: tuple[str, ...]


def parse_model_manifest(statement: Statement, *, limit: int = FILE_LIMIT) -> ModelManifest:
    """Read the list of a model signature, at most `limit` entries. Raises ProvenanceError: PredicateMalformed, ManifestMalformed."""
    with closed(_MALFORMED, "the model signature does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(Reason.PredicateMalformed, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        if statement.kind != STATEMENT_TYPE:
            raise ProvenanceError(_MALFORMED, f"a model signature is a {STATEMENT_TYPE!r} (8.3), and this one says {statement.kind!r}")
        if len(statement.subjects) + statement.unmatched != 1:
            raise ProvenanceError(_MALFORMED, f"a model signature has {len(statement.subjects) + statement.unmatched} subjects; exactly one is the model")
        subject = statement.subjects[0]
        made = _serialization(member(statement.predicate, "serialization", dict, where="predicate", reason=_MALFORMED))
        entries = objects(
            member(statement.predicate, "resources", list, where="predicate", reason=_MALFORMED),
            where="predicate.resources",
            reason=_MALFORMED,
            limit=limit,
        )
        named = [_entry(entry, made, where=f"predicate.resources[{index}]") for index, entry in enumerate(entries)]
        # The order of the list is the signer's: tools sort by characters or by folders. It counts for the root, and for nothing else (6.5.1).
        root = _root(digest for _, digest in named)
        if root != subject.sha256:
            raise ProvenanceError(_MALFORMED, f"the subject is {subject.sha256}, the listed files make {root}: the list is not the one that was meant")
        if made.shard_size:
            files: Sequence[ModelFile] = files_of_shards(named, algorithm=made.algorithm, shard_size=made.shard_size)
        else:
            files = [ModelFile(name, made.algorithm, digest) for name, digest in named]
        files = _one_named(files, subject.name)
        return manifest(model_name=subject.name, files=files, root=root, uncovered=made.uncovered, follows_links=made.follows_links)


def manifest(*, model_name: str, files: Iterable[ModelFile], root: str, uncovered: Iterable[str] = (), follows_links: bool = False) -> ModelManifest:
    """A manifest of `files` in canonical order. Raises ProvenanceError (ManifestMalformed) when there are none, or a name is bad or there twice."""
    ordered = tuple(sorted(files, key=lambda file: file.name.encode("utf-8")))
    if not ordered:
        raise ProvenanceError(_MALFORMED, "the list of files is empty: nothing of the model is covered")
    for file in ordered:
        check_path(file.name)
    for previous, file in pairwise(ordered):
        if file.name == previous.name:
            raise ProvenanceError(_MALFORMED, f"file {file.name[:200]!r} is listed twice")
    names = {file.name for file in ordered}
    for folder in {file.name[:index] for file in ordered for index, character in enumerate(file.name) if character == "/"}:
        if folder in names:
            raise ProvenanceError(_MALFORMED, f"{folder[:200]!r} is listed as a file, and as a folder of others")
    return ModelManifest(
        model_name=model_name,
        oms_root=root,
        files=ordered,
        digest=name_binding_digest(ordered),
        uncovered=tuple(sorted(set(uncovered))),
        follows_links=follows_links,
    )


def oms_root(files: Iterable[ModelFile]) -> str:
    """The OMS root: SHA-256 over the raw digests of what is listed, files or shards, in the order in which signers list them (6.5.1)."""
    return _root(digest for _, digest in listed(files))


def is_bundle_file(path: str) -> bool:
    """Whether `path` names a signature beside the model's files, which cannot be in its own list (6.2)."""
    return "/" not in path and path.endswith(_BUNDLE_ENDINGS)


def _root(digests: Iterable[str]) -> str:
    concatenated = hashlib.sha256()
    for digest in digests:
        concatenated.update(bytes.fromhex(digest))
    return "sha256:" + concatenated.hexdigest()


def _one_named(files: Sequence[ModelFile], model_name: str) -> Sequence[ModelFile]:
    """What is listed, with a model that is one file under its own name."""
    if len(files) == 1 and files[0].name == _THE_MODEL_ITSELF:
        if "/" in model_name:
            raise ProvenanceError(_MALFORMED, f"the model is one file, and its name {model_name[:200]!r} has a '/'")
        return [replace(files[0], name=model_name)]
    return files


def _entry(entry: JsonObject, made: Serialization, *, where: str) -> tuple[str, str]:
    """Name and digest of an entry; unknown members are ignored (5.2.1)."""
    algorithm = member(entry, "algorithm", str, where=where, reason=_MALFORMED)
    # `model_signing` 1.1.1 writes the size of shards into the name of the algorithm, the specification (6.3.2) does not.
    if algorithm != made.algorithm and not (made.shard_size and algorithm == f"{made.algorithm}-sharded-{made.shard_size}"):
        raise ProvenanceError(_MALFORMED, f"{where}.algorithm is {algorithm[:40]!r}, and the list is made with {made.algorithm!r}")
    digest = member(entry, "digest", str, where=where, reason=_MALFORMED)
    if not is_hex_digest(made.algorithm, digest):
        raise ProvenanceError(_MALFORMED, f"{where}.digest is not {hex_digits(made.algorithm)} lower-case hexadecimal digits")
    return member(entry, "name", str, where=where, reason=_MALFORMED), digest


def _serialization(serialization: JsonObject) -> Serialization:
    where = "predicate.serialization"
    method = text(serialization, "method", where=where, reason=_MALFORMED)
    if method not in {"files", "shards"}:
        raise ProvenanceError(_MALFORMED, f"{where}.method is {method[:40]!r}; 'files' and 'shards' are read")
    if (method == "shards") != ("shard_size" in serialization):
        raise ProvenanceError(_MALFORMED, f"{where}.shard_size goes with method 'shards', and 'shards' need it; the method is {method!r}")
    algorithm = text(serialization, "hash_type", where=where, reason=_MALFORMED)
    if algorithm not in ALGORITHMS:
        raise ProvenanceError(_MALFORMED, f"{where}.hash_type is {algorithm[:40]!r}; {', '.join(sorted(ALGORITHMS))} are read as algorithm of a digest")
    return Serialization(
        algorithm=algorithm,
        shard_size=_shard_size(serialization["shard_size"]) if method == "shards" else 0,
        follows_links=member(serialization, "allow_symlinks", bool, where=where, reason=_MALFORMED),
        uncovered=_uncovered(optional(serialization, "ignore_paths", list, where=where, reason=_MALFORMED) or [], where=f"{where}.ignore_paths"),
    )


def _shard_size(value: JsonValue) -> int:
    """A positive integer; `model_signing` writes it as `1048576.0`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise ProvenanceError(_MALFORMED, "predicate.serialization.shard_size is not a positive number of bytes")
    return value


def _uncovered(ignored: Sequence[JsonValue], *, where: str) -> tuple[str, ...]:
    """The paths that were left out (6.2.1: exact paths, no globs), but for the bundle's own file."""
    if len(ignored) > _UNCOVERED_LIMIT:
        raise ProvenanceError(_MALFORMED, f"{where} has {len(ignored):,} entries; at most {_UNCOVERED_LIMIT:,} are read")
    paths = []
    for index, path in enumerate(ignored):
        if not isinstance(path, str) or _WILD & set(path):
            raise ProvenanceError(_MALFORMED, f"{where}[{index}] is not the exact path of a file or folder below the model")
        with closed(_MALFORMED, f"{where}[{index}]"):
            check_path(path)
        if not is_bundle_file(path):
            paths.append(path)
    return tuple(paths)
