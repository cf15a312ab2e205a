"""Digests of files and of pieces of files: in threads, with bounded memory, and only of files that hold still.

A thread takes the next piece, reads it in chunks into one buffer of its own and hashes it; hashlib and blake3 release the interpreter's lock. So memory is
`threads` times `CHUNK_BYTES`, whatever the size of the model. A file whose size, times or inode change while it is read has no digest, but a fault.
"""

from __future__ import annotations

import hashlib
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import blake3

from sluice.provenance.model_tree import Fault, Strayed, Tree

CHUNK_BYTES: Final = 128 << 10
"""Small enough to be hashed out of a core's own cache, which it was read into: 512 KiB take four times as long to read where a core has no more than that."""
THREADS_LIMIT: Final = 64
_TOLD_BYTES = 8 << 20

Progress = Callable[[int], None]
"""Told how many more bytes were hashed; called from several threads."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is hashed: bytes `start` to `end` of a file, all of it when `end` is None."""

    name: str
    algorithm: str
    size: int
    """Bytes to expect; the large ones are hashed first."""
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Hashed:
    """What a piece came to: a digest and how the file stood, or a fault."""

    digest: str | None
    size: int = 0
    stand: tuple[int, ...] = ()
    """Device, inode, size, times: pieces of one file are of one file when these agree."""
    fault: Fault | None = None


class Hasher(Protocol):
    """What hashlib's and blake3's objects have in common."""

    def update(self, data: memoryview, /) -> object:
        """Hash more bytes."""

    def hexdigest(self) -> str:
        """The digest so far, in lower-case hexadecimal."""


def hasher(algorithm: str) -> Hasher:
    """Hash by `sha256`, `blake2b` (512 bits) or `blake3` (256 bits). BLAKE3's own threads cost more than they give in chunks of this size."""
    match algorithm:
        case "blake3":
            return blake3.blake3()
        case "blake2b":
            return hashlib.blake2b()
        case "sha256":
            return hashlib.sha256()
        case _:
            raise ValueError(f"{algorithm!r} is no algorithm of model signatures")


def threads_here() -> int:
    """As many threads as this process may run at once."""
    return min(len(os.sched_getaffinity(0)), THREADS_LIMIT)


def hash_pieces(tree: Tree, pieces: Iterable[Piece], *, threads: int, progress: Progress | None = None) -> Mapping[Piece, Hashed]:
    """Hash `pieces` of files below `tree`. Raises OSError for a file that is there and cannot be read: then nothing is known."""
    ordered = sorted(pieces, key=lambda piece: -piece.size)
    waiting: queue.SimpleQueue[Piece] = queue.SimpleQueue()
    for piece in ordered:
        waiting.put(piece)
    threads = max(1, min(threads, THREADS_LIMIT, len(ordered)))
    done: dict[Piece, Hashed] = {}
    stop = threading.Event()

    def work() -> None:
        worker = _Worker(tree, progress, stop)
        try:
            while not stop.is_set():
                try:
                    piece = waiting.get_nowait()
                except queue.Empty:
                    break
                done[piece] = worker.hash(piece)
        except BaseException:
            stop.set()
            raise
        finally:
            worker.tell()

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hash") as pool:
        workers = [pool.submit(work) for _ in range(threads)]
        try:
            for each in workers:
                each.result()
        finally:
            stop.set()
    return done


class _Worker:
    """One thread's buffer, and how far it has told its progress."""

    def __init__(self, tree: Tree, progress: Progress | None, stop: threading.Event) -> None:
        self._tree = tree
        self._progress = progress
        self._stop = stop
        self._buffer = bytearray(CHUNK_BYTES)
        self._untold = 0

    def hash(self, piece: Piece) -> Hashed:
        """Hash one piece. Raises OSError."""
        try:
            fd = self._tree.open(piece.name)
        except Strayed as error:
            return Hashed(None, fault=error.fault)
        except (FileNotFoundError, NotADirectoryError):
            return Hashed(None, fault=Fault.MISSING)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                return Hashed(None, fault=Fault.SPECIAL)
            end = before.st_size if piece.end is None else piece.end
            digest, reached = self._read(fd, piece, end, hasher(piece.algorithm))
            stand = _stand(before)
            if stand != _stand(os.fstat(fd)) or reached != min(end, before.st_size):
                return Hashed(None, fault=Fault.MOVING)
            return Hashed(digest, size=before.st_size, stand=stand)
        finally:
            os.close(fd)

    def tell(self) -> None:
        """Tell the progress that was not told yet."""
        if self._progress is not None and self._untold:
            self._progress(self._untold)
        self._untold = 0

    def _read(self, fd: int, piece: Piece, end: int, digest: Hasher) -> tuple[str, int]:
        """The digest of what is there from `piece.start` up to `end`, and where that ended."""
        view = memoryview(self._buffer)
        at = piece.start
        while at < end and not self._stop.is_set():
            read = os.preadv(fd, [view[: min(len(view), end - at)]], at)
            if read == 0:
                break
            digest.update(view[:read])
            at += read
            self._untold += read
            if self._untold >= _TOLD_BYTES:
                self.tell()
        return digest.hexdigest(), at


def _stand(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
