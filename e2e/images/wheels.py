"""Python packages for an image, fetched and checked on the host, installed in the build without a network.

The host's pip knows the mirrors, proxies and certificates of whoever runs it; the inside of a build knows none of them. The image's
Python is Debian's 3.11, whatever the host's is, so the platform is spelled out.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed
from e2e.images.inputs import key_of
from e2e.images.store import cache_folder

PYTHON = "3.11"
GLIBC_MINORS = range(36, 4, -1)
"""manylinux tags that Debian bookworm's glibc 2.36 can run, newest first; pip does not derive the older ones from the newest."""
LEGACY = ("manylinux2014", "manylinux2010", "manylinux1")


def fetch(requirements: Path, *, scratch: Path, narrator: Narrator) -> Path:
    """Give a folder with the wheels that `requirements` (pinned, hashed) lists; download them when it is not there.

    Raises StepFailed with the end of pip's log: a hash that differs, a package without a wheel for this machine, no network.
    """
    name = requirements.stem
    folder = cache_folder() / "wheels" / f"{name}-{key_of({'requirements': requirements.read_bytes()})}"
    if folder.exists():
        return folder
    log = cache_folder() / f"wheels-{name}.log"
    machine = os.uname().machine
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS] + [f"{tag}_{machine}" for tag in LEGACY]
    with narrator.step(f"packages of {requirements.name} (log: {log})"), log.open("wb") as output:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"),
                *("--implementation=cp", f"--python-version={PYTHON}", *(f"--platform={platform}" for platform in platforms)),
                *("--dest", str(scratch / name), "--requirement", str(requirements)),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if done.returncode:
        raise StepFailed(f"pip download of {requirements.name} failed with exit code {done.returncode}", log=log)
    folder.parent.mkdir(exist_ok=True)
    for older in folder.parent.glob(f"{name}-*"):
        shutil.rmtree(older)
    return (scratch / name).rename(folder)


def pip_folder() -> Path:
    """Find the package `pip` of this interpreter, to lend it to a build: the root file system has none. It is pure Python."""
    spec = importlib.util.find_spec("pip")
    if spec is None or spec.origin is None:
        raise StepFailed(f"{sys.executable} has no pip: run this from the checkout's .venv")
    return Path(spec.origin).parent
