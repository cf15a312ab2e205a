"""How fast a model on disk is verified: against the reference implementation and against `openssl dgst` and BLAKE3 alone, in the same run.

    python benchmarks/model_hashing.py [--quick] [--json FILE]

Three questions. Large files: how near does a verification of a folder come to hashing alone? Many files: what does a file cost, with 5,000 and 100,000 of them?
Memory: the peak of a process that verifies, with a file of many gigabytes (a sparse one) and with 100,000 files.

Ratios are of CPU seconds, which a busy machine changes less than those of the clock; of large files the least of all rounds counts, which others disturbed
least. Files are in the page cache, and all take turns. The reference (model_signing 1.1.1) runs in its own environment: `python -m e2e.model_signing` makes it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import blake3  # noqa: E402 - after the path is set
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from e2e.model_signing import ENVIRONMENT, prepare  # noqa: E402
from sluice.provenance.bundle_signing import BundleSigner  # noqa: E402
from sluice.provenance.model_directory import manifest_of  # noqa: E402
from sluice.provenance.model_hashing import threads_here  # noqa: E402
from sluice.provenance.model_statement import model_statement  # noqa: E402

TARGET_OF_THE_LIMIT = 0.9
TARGET_OF_THE_REFERENCE = 1.0
TARGET_PEAK_MIB = 256.0

# Each prints what its own work took, without the start of the interpreter, by the clock and of the CPU in all threads, and its peak memory in KiB: by
# `VmHWM`, since `ru_maxrss` begins with what the process held that started it.
_OURS = """
import sys, time
from pathlib import Path
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.model_signature import parse_model_manifest
from sluice.provenance.model_verification import BUNDLE_BYTES, DISK_FILE_LIMIT, verify_on_disk
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
model, bundle, key = map(Path, sys.argv[1:4])
anchors = TrustAnchors.keys("key", {"key": key.read_text()})
start, cpu = time.perf_counter(), time.process_time()
envelope = verify_bundle(bundle.read_bytes(), anchors, limit=BUNDLE_BYTES)
verify_on_disk(parse_model_manifest(parse_statement(envelope.payload, limit=BUNDLE_BYTES), limit=DISK_FILE_LIMIT), model)
took = time.perf_counter() - start, time.process_time() - cpu
print(*took, next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""
_THEIRS = """
import sys, time
from pathlib import Path
from model_signing import hashing, verifying
model, bundle, key, algorithm = sys.argv[1:5]
config = hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
verifier = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(config)
start, cpu = time.perf_counter(), time.process_time()
verifier.verify(model, bundle)
took = time.perf_counter() - start, time.process_time() - cpu
print(*took, next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


class Took(NamedTuple):
    """What a verification took."""

    seconds: float
    cpu: float
    peak_mib: float


class Signed:
    """A model in a folder with a key, and its signature by each digest."""

    def __init__(self, folder: Path) -> None:
        self.model, self.folder = folder / "model", folder
        self.public = folder / "key.pub"
        key = ec.generate_private_key(ec.SECP256R1())
        self.public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.signer = BundleSigner.with_key(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def sign(self, algorithm: str, *, shard_size: int = 0) -> Path:
        """Write the signature; its path."""
        bundle = self.folder / f"{algorithm}-{shard_size}.sig"
        bundle.write_bytes(self.signer.sign(model_statement(manifest_of(self.model, algorithm=algorithm, shard_size=shard_size))))
        return bundle

    def ours(self, bundle: Path) -> Took:
        """Verify with Sluice."""
        return _measured([sys.executable, "-c", _OURS, str(self.model), str(bundle), str(self.public)])

    def theirs(self, bundle: Path, algorithm: str) -> Took:
        """Verify with the reference."""
        word = "blake2" if algorithm == "blake2b" else algorithm
        return _measured([str(ENVIRONMENT / "bin" / "python"), "-c", _THEIRS, str(self.model), str(bundle), str(self.public), word])


def _measured(command: list[str]) -> Took:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "operator")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds, cpu, peak = map(float, done.stdout.split()[-3:])
    return Took(seconds=seconds, cpu=cpu, peak_mib=peak / 1024)


def _cpu_seconds(act: Callable[[], object]) -> float:
    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    start = spent()
    act()
    return spent() - start


def limit(model: Path, algorithm: str) -> Callable[[], object]:
    """Hashing alone, with as many processes or threads as there are cores."""
    files = sorted(str(path) for path in model.rglob("*") if path.is_file())
    if algorithm == "blake3":
        return lambda: [blake3.blake3(max_threads=threads_here()).update_mmap(file).hexdigest() for file in files]
    word = "blake2b512" if algorithm == "blake2b" else algorithm
    cores = threads_here()

    def openssl() -> None:
        running = [subprocess.Popen(["openssl", "dgst", f"-{word}", *files[core::cores]], stdout=subprocess.DEVNULL) for core in range(cores)]
        for process in running:
            process.wait()

    return openssl


def large_files(folder: Path, *, mebibytes: int, rounds: int) -> dict[str, dict[str, float]]:
    """A model of eight files, by each digest: bytes per second, and shares of what hashing alone and the reference reach."""
    signed = Signed(folder)
    signed.model.mkdir()
    block = os.urandom(1 << 20)
    for number in range(8):
        with (signed.model / f"model-{number}.safetensors").open("wb") as file:
            for _ in range(mebibytes // 8):
                file.write(block)
    size = sum(path.stat().st_size for path in signed.model.iterdir()) / 1e9
    figures = {}
    for algorithm in ("sha256", "blake2b", "blake3"):
        bundle = signed.sign(algorithm)
        alone = limit(signed.model, algorithm)
        takes = [((took := signed.ours(bundle)).seconds, took.cpu, signed.theirs(bundle, algorithm).cpu, _cpu_seconds(alone)) for _ in range(rounds)]
        seconds, ours, theirs, least = (min(column) for column in zip(*takes, strict=True))
        figures[algorithm] = {"GB/s": size / seconds, "of_the_limit": least / ours, "against_the_reference": theirs / ours}
        print(
            f"{algorithm:8} {size / seconds:6.2f} GB/s   {least / ours:5.2f} of hashing alone (target ≥ {TARGET_OF_THE_LIMIT})"
            f"   {theirs / ours:5.2f}x model_signing (target ≥ {TARGET_OF_THE_REFERENCE})"
        )
    return figures


def many_files(folder: Path, *, count: int, rounds: int) -> dict[str, float]:
    """A model of `count` small files: milliseconds for a thousand of them, and the peak memory, ours and the reference's."""
    signed = Signed(folder)
    for number in range(count):
        path = signed.model / f"{number // 1000:03}" / f"weights-{number:06}.bin"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(str(number).encode())
    bundle = signed.sign("sha256")
    takes = [(*signed.ours(bundle), *signed.theirs(bundle, "sha256")) for _ in range(rounds)]
    seconds, ours, peak, _, theirs, their_peak = (statistics.median(column) for column in zip(*takes, strict=True))
    size = bundle.stat().st_size / 1e6
    print(
        f"{count:,} files, a bundle of {size:.1f} MB: {seconds:6.2f} s  {theirs / ours:5.2f}x model_signing (target ≥ {TARGET_OF_THE_REFERENCE})"
        f"   peak {peak:5.0f} MiB (model_signing {their_peak:.0f}; target ≤ {TARGET_PEAK_MIB:.0f})"
    )
    return {"seconds": seconds, "against_the_reference": theirs / ours, "peak_mib": peak, "their_peak_mib": their_peak, "bundle_mb": size}


def memory(folder: Path, *, gigabytes: int) -> dict[str, float]:
    """The peak while a file of many gigabytes is verified; sparse, so that it needs no disk."""
    signed = Signed(folder)
    signed.model.mkdir()
    with (signed.model / "weights.bin").open("wb") as file:
        file.truncate(gigabytes * 10**9)
    took = signed.ours(signed.sign("blake3"))
    print(f"a file of {gigabytes} GB (sparse, BLAKE3): {gigabytes / took.seconds:5.2f} GB/s   peak {took.peak_mib:5.0f} MiB (target ≤ {TARGET_PEAK_MIB:.0f})")
    return {"GB/s": gigabytes / took.seconds, "peak_mib": took.peak_mib}


def main() -> int:
    """Measure, and print each figure beside its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller models and fewer rounds; about a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    prepare()
    rounds = 3 if options.quick else 7
    figures: dict[str, object] = {"threads": threads_here()}

    def measure(name: str, act: Callable[[Path], object]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="model-hashing-"))
        try:
            figures[name] = act(folder)
        finally:
            shutil.rmtree(folder)

    print(f"{threads_here()} threads")
    measure("large files", lambda folder: large_files(folder, mebibytes=256 if options.quick else 2048, rounds=rounds))
    measure("5,000 files", lambda folder: many_files(folder, count=5000, rounds=rounds))
    measure("100,000 files", lambda folder: many_files(folder, count=20_000 if options.quick else 100_000, rounds=1 if options.quick else 3))
    measure("memory", lambda folder: memory(folder, gigabytes=2 if options.quick else 20))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
