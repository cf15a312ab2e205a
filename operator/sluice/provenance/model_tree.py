"""The files below a model's folder, reached without trusting a single name on the way.

Every step is relative to a folder that is open already and follows no link, so that nobody who can rename or link below the folder makes us read, or count,
something outside of it. Where a signer followed links, they are followed here by hand, one part after the other, and never out of the folder.

Linux and POSIX: openat(2) with O_NOFOLLOW; a FIFO in place of a file is opened without waiting and refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

ENTRY_LIMIT: Final = 1_000_000
DEPTH_LIMIT: Final = 64
LOST_FOUND: Final = "lost+found"
"""What ext4 has at the top of each volume, for the pieces of files that its repair finds. Only root may read it."""
_LINK_LIMIT = 40  # as Linux has it
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Identity = tuple[int, int]
"""Device and inode."""


class Fault(StrEnum):
    """Why a file on disk is not what was signed."""

    MISSING = "is missing"
    CHANGED = "differs from what was signed"
    UNSIGNED = "was not signed"
    LINK = "is a symbolic link"
    STRAY_LINK = "is a symbolic link that leads out of the model, in circles or nowhere"
    SPECIAL = "is no plain file"
    MOVING = "was changed while it was read"
    NAME = "has a name that cannot be signed (not UTF-8, a backslash or a control character)"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry below the folder that is no folder."""

    name: str
    """Path below the folder, with `/`; bytes that are not UTF-8 as lone surrogates."""
    size: int
    identity: Identity
    fault: Fault | None = None
    """LINK, STRAY_LINK or SPECIAL; None for a plain file."""


class Strayed(Exception):
    """A path leads through a link where none is followed, or out of the folder."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Tree:
    """An open folder, or one file in the folder that holds it. Use as a context manager."""

    def __init__(self, path: Path, *, follow_links: bool = False) -> None:
        """Open `path`; links on the way to it, and it itself, are the caller's choice. Raises OSError."""
        self._only = None if path.is_dir() else path.name
        self._follow = follow_links
        self._root = os.open(path if self._only is None else path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def entries(self, *, skip: frozenset[str] = frozenset(), lost_found: bool = False) -> Iterator[Found]:
        """Every entry that is no folder, in no particular order; those at the paths of `skip` as they are, and nothing below.

        `lost_found`: pass over a `lost+found` at the top that only root may read, when we are somebody else. One that we can read is read.
        Raises OSError, TooMany.
        """
        if self._only is not None:
            yield self._entry(self._root, self._only, self._only)
            return
        count = 0
        waiting: list[tuple[str, frozenset[Identity]]] = [("", frozenset())]
        while waiting:
            folder, above = waiting.pop()
            # Opened again from the top when its turn comes: a model may have more folders than a process may have files open.
            try:
                fd = self.open(folder)
            except PermissionError:
                if lost_found and folder == LOST_FOUND and self._is_for_root_alone(folder):
                    continue
                raise
            try:
                above |= {_identity(os.fstat(fd))}
                with os.scandir(fd) as listed:
                    for entry in listed:
                        count += 1
                        if count > ENTRY_LIMIT:
                            raise TooMany(f"more than {ENTRY_LIMIT:,} files and folders")
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if name in skip:
                            yield Found(name, 0, _identity(entry.stat(follow_symlinks=False)))
                        elif entry.is_dir(follow_symlinks=False) or (self._follow and entry.is_symlink() and self._leads_to_folder(name, above)):
                            if len(above) > DEPTH_LIMIT:
                                raise TooMany(f"folders deeper than {DEPTH_LIMIT} levels")
                            waiting.append((name, above))
                        else:
                            yield self._entry(fd, entry.name, name)
            finally:
                os.close(fd)

    def open(self, name: str) -> int:
        """Open the file or folder `name` below this folder for reading. Raises OSError, Strayed."""
        open_folders = [os.dup(self._root)]
        pending = name.split("/")[::-1]
        followed = 0
        try:
            while pending:
                part = pending.pop()
                if part in {"", "."}:
                    continue
                if part == "..":
                    if len(open_folders) == 1:
                        raise Strayed(Fault.STRAY_LINK)
                    os.close(open_folders.pop())
                    continue
                try:
                    open_folders.append(os.open(part, _OPEN | (os.O_DIRECTORY if pending else 0), dir_fd=open_folders[-1]))
                except OSError as error:
                    target = _target(part, open_folders[-1], error)
                    followed += 1
                    if not self._follow:
                        raise Strayed(Fault.LINK) from None
                    if target.startswith("/") or followed > _LINK_LIMIT:
                        raise Strayed(Fault.STRAY_LINK) from None
                    pending.extend(target.split("/")[::-1])
            return open_folders.pop()
        finally:
            for fd in open_folders:
                os.close(fd)

    def _is_for_root_alone(self, name: str) -> bool:
        # An access list that lets others in shows in the bits of the group.
        about = os.stat(name, dir_fd=self._root, follow_symlinks=False)
        return stat.S_ISDIR(about.st_mode) and about.st_uid == 0 and not about.st_mode & 0o077

    def _entry(self, folder: int, part: str, name: str) -> Found:
        about = os.stat(part, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(about.st_mode):
            return Found(name, about.st_size, _identity(about), None if stat.S_ISREG(about.st_mode) else Fault.SPECIAL)
        if not self._follow:
            return Found(name, 0, _identity(about), Fault.LINK)
        try:
            fd = self.open(name)
        except (Strayed, FileNotFoundError, NotADirectoryError):
            return Found(name, 0, _identity(about), Fault.STRAY_LINK)
        try:
            target = os.fstat(fd)
        finally:
            os.close(fd)
        if stat.S_ISDIR(target.st_mode):
            return Found(name, 0, _identity(about), Fault.STRAY_LINK)
        return Found(name, target.st_size, _identity(target), None if stat.S_ISREG(target.st_mode) else Fault.SPECIAL)

    def _leads_to_folder(self, name: str, above: frozenset[Identity]) -> bool:
        """Whether the link `name` leads to a folder, which is none of those it lies in."""
        try:
            fd = self.open(name)
        except (Strayed, FileNotFoundError, NotADirectoryError):
            return False
        try:
            target = os.fstat(fd)
        finally:
            os.close(fd)
        return stat.S_ISDIR(target.st_mode) and _identity(target) not in above


class TooMany(Exception):
    """More entries, or deeper, than are looked at."""


def _target(part: str, folder: int, error: OSError) -> str:
    """Where the link `part` leads; raises `error` when it is none. Opening a link fails with ELOOP, or with ENOTDIR where a folder was asked for."""
    if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
        raise error
    try:
        return os.readlink(part, dir_fd=folder)
    except OSError:
        raise error from None


def _identity(about: os.stat_result) -> Identity:
    return about.st_dev, about.st_ino
