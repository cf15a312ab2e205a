"""The Debian root file system under our images: what is essential, Python and CA certificates, and nothing to install packages with.

Made by mmdebstrap from Debian's current packages, security updates included, and then kept: a cached base does not get newer by itself
(`python -m e2e.images prune --all` makes the next build fetch it again).
"""

import os
import shutil
import subprocess
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed
from e2e.images.inputs import key_of
from e2e.images.store import cache_folder, holds, tag

SUITE = "bookworm"
PACKAGES = (
    "?essential",
    # Chosen by name, or apt picks `usrmerge`, which converts old systems and brings 50 MB of Perl.
    "usr-is-merged",
    "python3-minimal",
    "libpython3-stdlib",
    "ca-certificates",
    # Wheels with C++ inside, like grpcio's and pandas', link to it.
    "libstdc++6",
)
EXCLUDED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*", "/usr/lib/*/gconv/*")
KEPT = ("/usr/share/doc/*/copyright",)
COMPILE = 'chroot "$1" python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11'
"""Layers set every file's time to zero; byte code that compares times would be thrown away at each start."""
OLDEST = "1700000000"
"""Any fixed moment (in seconds since 1970): mmdebstrap sets later file times to it."""


def _arguments() -> list[str]:
    return [
        "--mode=root",
        "--variant=custom",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--components=main",
        *(f"--include={package}" for package in PACKAGES),
        '--aptopt=APT::Install-Recommends "false"',
        # Half of the time is waiting for the disk otherwise; a power cut costs a rebuild.
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED),
        *(f"--dpkgopt=path-include={path}" for path in KEPT),
        f"--customize-hook={COMPILE}",
        SUITE,
    ]


def base(*, scratch: Path, narrator: Narrator) -> str:
    """Give the reference, in buildah's store, of the root file system as an image; make it when it is not there.

    Raises StepFailed with the end of mmdebstrap's log.
    """
    key = key_of({"arguments": "\n".join(_arguments()).encode(), "machine": os.uname().machine.encode()})
    found = holds("sluice-base", key)
    if found:
        return found
    archive = cache_folder() / "debian" / f"{key}.tar"
    if not archive.exists():
        with narrator.step(f"Debian {SUITE} root file system (log: {_log()})"):
            _bootstrap(scratch / "root.tar")
        archive.parent.mkdir(exist_ok=True)
        (scratch / "root.tar").rename(archive)
    context = scratch / "base"
    context.mkdir()
    (context / "root.tar").hardlink_to(archive)
    (context / "Containerfile").write_text("FROM scratch\nADD root.tar /\n", encoding="utf-8")
    with narrator.step("root file system as an image"):
        return tag("sluice-base", key, containerfile=context / "Containerfile", context=context)


def _log() -> Path:
    return cache_folder() / "debian.log"


def _bootstrap(archive: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        raise StepFailed("mmdebstrap is not installed: apt-get install mmdebstrap debian-archive-keyring")
    with _log().open("wb") as output:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", "mmdebstrap", *_arguments(), str(archive)],
            check=False,
            env=os.environ | {"SOURCE_DATE_EPOCH": OLDEST},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if done.returncode:
        raise StepFailed(f"mmdebstrap failed with exit code {done.returncode}", log=_log())
