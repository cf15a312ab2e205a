"""The manifest of a model on disk: what a signer signs and what a verifier before the server compares.

Reads every byte once. Links and special files are refused: what they lead to can change after hashing.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_files import ModelFile, check_path
from sluice.provenance.model_hashing import Piece, Progress, hash_pieces, threads_here
from sluice.provenance.model_shards import sharded_file
from sluice.provenance.model_signature import ModelManifest, is_bundle_file, manifest, oms_root
from sluice.provenance.model_tree import Found, TooMany, Tree

_MALFORMED = Reason.ManifestMalformed


def manifest_of(
    model: Path,
    *,
    leave_out: Collection[str] = (),
    algorithm: str = "sha256",
    shard_size: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ModelManifest:
    """The manifest of a model on disk: of all files below a folder, or of one file.

    `leave_out` names files and folders below it, by their exact paths, that are not the model's (the bundle itself); those that are there and are no bundle
    are the manifest's `uncovered`. `shard_size` lists pieces of that many bytes instead of whole files.
    Raises ProvenanceError (ManifestMalformed) for links, special files, names that cannot be listed, a folder without files, an empty file in a list of
    shards, or a file that changes meanwhile, and OSError when something cannot be read.
    """
    with Tree(model) as tree:
        found, left_out = _listed(tree, model, frozenset(leave_out))
        if shard_size and (empty := next((entry for entry in found if not entry.size), None)):
            raise ProvenanceError(_MALFORMED, f"{model / empty.name} is empty, and a list in shards covers no empty file: sign whole files, or leave it out")
        asked = {entry.name: pieces(entry.name, algorithm, size=entry.size, shard_size=shard_size) for entry in found}
        done = hash_pieces(tree, (piece for of in asked.values() for piece in of), threads=threads or threads_here(), progress=progress)
    files = []
    for entry in found:
        hashed = [done[piece] for piece in asked[entry.name]]
        fault = next((each.fault for each in hashed if each.fault), None)
        digests = [each.digest for each in hashed if each.digest is not None]
        if fault is not None or len({each.stand for each in hashed}) != 1 or hashed[0].size != entry.size:
            raise ProvenanceError(_MALFORMED, f"{model / entry.name} {fault or 'was changed while it was read'}")
        if shard_size:
            files.append(sharded_file(entry.name, algorithm, digests, shard_size=shard_size, size=entry.size))
        else:
            files.append(ModelFile(entry.name, algorithm, digests[0]))
    # By the characters of their names, as the specification (6.4) sorts: these are the bytes of UTF-8 too.
    files.sort()
    # The name as it was given: a link may name the model better than what it leads to.
    name = Path(os.path.abspath(model)).name  # noqa: PTH100 - resolve() follows links
    return manifest(model_name=name, files=files, root=oms_root(files), uncovered=(path for path in left_out if not is_bundle_file(path)))


def _listed(tree: Tree, model: Path, leave_out: frozenset[str]) -> tuple[list[Found], set[str]]:
    """What is the model's, and what of `leave_out` is there."""
    found, left_out = [], set()
    try:
        for entry in tree.entries(skip=leave_out):
            if (skipped := covering(entry.name, leave_out)) is not None:
                left_out.add(skipped)
                continue
            if entry.fault is not None:
                raise ProvenanceError(_MALFORMED, f"{model / entry.name} {entry.fault}; a model consists of plain files")
            try:
                entry.name.encode("utf-8")
            except UnicodeEncodeError:
                raise ProvenanceError(_MALFORMED, f"file name {entry.name!r} is not UTF-8") from None
            check_path(entry.name)
            found.append(entry)
    except TooMany as error:
        raise ProvenanceError(_MALFORMED, f"{model} holds {error}") from None
    return found, left_out


def covering(name: str, paths: frozenset[str]) -> str | None:
    """The one of `paths` that `name` is, or lies below."""
    if not paths:
        return None
    at = len(name)
    while at > 0:
        if name[:at] in paths:
            return name[:at]
        at = name.rfind("/", 0, at)
    return None


def pieces(name: str, algorithm: str, *, size: int, shard_size: int) -> list[Piece]:
    """What is hashed of a file of `size` bytes: all of it at once, or its shards."""
    if not shard_size:
        return [Piece(name, algorithm, size)]
    ends = [(start, min(start + shard_size, size)) for start in range(0, size, shard_size)]
    return [Piece(name, algorithm, end - start, start=start, end=end) for start, end in ends]
