"""What an image is made from, and the key that names it in the cache.

An input is a name and its bytes. File times, owners and modes are no inputs: builds set them to the same values each time.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

KEY_LENGTH = 16
CHECKOUT = Path(__file__).resolve().parents[2]
IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def key_of(inputs: Mapping[str, bytes]) -> str:
    """Give the first 64 bits, in hexadecimal, of a SHA-256 that changes when a name or a byte of `inputs` changes."""
    listing = "".join(f"{hashlib.sha256(inputs[name]).hexdigest()} {len(name)} {name}\n" for name in sorted(inputs))
    return hashlib.sha256(listing.encode()).hexdigest()[:KEY_LENGTH]


def read(paths: Iterable[Path], *, below: Path) -> dict[str, bytes]:
    """Read files, and all files of folders, named by their path from `below`. Python's and the linters' caches are left out.

    Raises FileNotFoundError for a path that is not there.
    """
    return {file.relative_to(below).as_posix(): file.read_bytes() for path in paths for file in _files(path)}


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_file():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.name not in IGNORED:
            yield from _files(entry)
