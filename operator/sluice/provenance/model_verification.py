"""A model on disk against the list that was signed: every file that is there was signed, and every file that was signed is there and the same.

What is wrong with names is found before the first byte is hashed, and told all at once. Some files alone can be verified too: then nothing is said of the
others. Nothing on disk is left out because the signer said so: what nobody signed has to be accepted path by path by whoever asks.

What this cannot do: keep files from being changed afterwards. Mount the model read-only, and verify where the server reads.

Specification: https://github.com/ossf/model-signing-spec, SPEC.md 8.4 and 8.5
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_directory import covering, pieces
from sluice.provenance.model_files import ModelFile
from sluice.provenance.model_hashing import Hashed, Piece, Progress, hash_pieces, threads_here
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.model_tree import Fault, Found, Identity, TooMany, Tree

BUNDLE_BYTES: Final = 32 << 20
"""A bundle on disk: about 150,000 files."""
DISK_FILE_LIMIT: Final = 200_000
"""Files or shards in it."""
FAULTS_TOLD: Final = 50


@dataclass(frozen=True, slots=True, order=True)
class FileFault:
    """A file on disk that is not what was signed."""

    name: str
    fault: Fault

    def __str__(self) -> str:
        """Say it on one line, whatever is in the name."""
        return f"{printable(self.name)} {self.fault}"


class FilesRefused(ProvenanceError):
    """Files are not what was signed. Reason UncoveredFiles when nothing is wrong but that some were not signed, else FilesDiffer."""

    def __init__(self, faults: Iterable[FileFault]) -> None:
        ordered = sorted(faults)
        self.faults = tuple(ordered[:FAULTS_TOLD])
        """The first ones by name."""
        self.count = len(ordered)
        reason = Reason.UncoveredFiles if all(each.fault is Fault.UNSIGNED for each in ordered) else Reason.FilesDiffer
        more = f", and {self.count - 1:,} more" if self.count > 1 else ""
        super().__init__(reason, f"{ordered[0]}{more}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOnDisk:
    """What was verified."""

    files: int
    bytes: int
    partial: bool
    """Only some files were asked for: nothing is said of the others."""
    uncovered: tuple[str, ...]
    """Accepted paths at which there is something that nobody signed."""


def verify_on_disk(
    manifest: ModelManifest,
    model: Path,
    *,
    only: Collection[str] | None = None,
    accept_uncovered: Collection[str] = (),
    lost_found: bool = False,
    bundle: Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ModelOnDisk:
    """Verify a folder, or a model of one file, against `manifest`, whose signature the caller has verified.

    `only` names the files to verify, all when it is None; `bundle`, when it lies in the folder, is no file of the model. A file outside of the list is accepted
    at or below a path of `accept_uncovered`, and nowhere else. `lost_found` passes over a `lost+found` at the top that only root may read: whoever loads the
    model must not be root.
    Raises FilesRefused, and OSError when something cannot be read: then nothing is known.
    """
    signed = {file.name: file for file in manifest.files}
    with Tree(model, follow_links=manifest.follows_links) as tree:
        if only is None:
            own = _identity_of(bundle)
            found, uncovered, faults = _compared(tree, signed, frozenset(accept_uncovered), own, lost_found=lost_found)
        else:
            if not only:
                raise ProvenanceError(Reason.FilesDiffer, "no file was named: nothing would be verified")
            found, uncovered, faults = dict.fromkeys(only), set(), [FileFault(name, Fault.UNSIGNED) for name in only if name not in signed]
        if faults:
            raise FilesRefused(faults)
        asked = {name: _asked(signed[name], entry) for name, entry in found.items()}
        done = hash_pieces(tree, (piece for of in asked.values() for piece in of), threads=threads or threads_here(), progress=progress)
    if faults := [FileFault(name, fault) for name, of in asked.items() if (fault := _fault(signed[name], [done[piece] for piece in of]))]:
        raise FilesRefused(faults)
    size = sum(done[of[0]].size for of in asked.values())
    return ModelOnDisk(files=len(found), bytes=size, partial=only is not None, uncovered=tuple(sorted(uncovered)))


def printable(name: str) -> str:
    """The name of a file without what could move a cursor or cannot be encoded, and not longer than a line."""
    shown = "".join(character if character.isprintable() else "?" for character in name[:201])
    return shown if len(name) <= len(shown) else shown[:200] + "…"


def _compared(
    tree: Tree, signed: Mapping[str, ModelFile], accepted: frozenset[str], own: Identity | None, *, lost_found: bool
) -> tuple[dict[str, Found | None], set[str], list[FileFault]]:
    """What of the list is there, which accepted paths hold something, and what is wrong before anything is read."""
    found: dict[str, Found | None] = {}
    uncovered: set[str] = set()
    faults: list[FileFault] = []
    # What is accepted is not looked into, unless something of the list lies there: who verifies need not be allowed to.
    above = {name[:at] for name in signed for at, character in enumerate(name) if character == "/"}
    try:
        for entry in tree.entries(skip=accepted - signed.keys() - above, lost_found=lost_found):
            if entry.name in signed:
                found[entry.name] = entry
                size = signed[entry.name].size
                if entry.fault is not None:
                    faults.append(FileFault(entry.name, entry.fault))
                elif size is not None and size != entry.size:
                    faults.append(FileFault(entry.name, Fault.CHANGED))
            elif (path := covering(entry.name, accepted)) is not None:
                uncovered.add(path)
            elif own is None or entry.identity != own:
                faults.append(FileFault(entry.name, entry.fault or Fault.UNSIGNED))
    except TooMany as error:
        raise ProvenanceError(Reason.FilesDiffer, f"the model on disk has {error}") from None
    faults.extend(FileFault(name, Fault.MISSING) for name in signed.keys() - found.keys())
    return found, uncovered, faults


def _asked(file: ModelFile, entry: Found | None) -> list[Piece]:
    """What is hashed of `file`, whose size is that of the list or what was found on disk."""
    size = file.size if file.size is not None else entry.size if entry else 0
    return pieces(file.name, file.algorithm, size=size, shard_size=file.shard_size)


def _fault(file: ModelFile, hashed: list[Hashed]) -> Fault | None:
    if fault := next((each.fault for each in hashed if each.fault), None):
        return fault
    if len({each.stand for each in hashed}) != 1:
        return Fault.MOVING
    same = tuple(each.digest for each in hashed) == (file.shards or (file.digest,)) and file.size in {None, hashed[0].size}
    return None if same else Fault.CHANGED


def _identity_of(bundle: Path | None) -> Identity | None:
    if bundle is None:
        return None
    about = os.stat(bundle)  # noqa: PTH116 - as everywhere in this package
    return about.st_dev, about.st_ino
