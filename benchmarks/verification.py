"""Bundles verified per second, against sigstore-python's own Verifier on the same bundles in the same run.

Ours does more: strict parsing, trust windows at the signing time, who signed, the statement. It parses the trust root once, the library parts of it for each
bundle. The target is to be no slower: a ratio of 1. CPU time of one thread; the two take turns.

    python benchmarks/verification.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from e2e.sigstore import PrivateSigstore, model_signature_statement, sign_with_key
from sluice.evidence.facts import establish
from sluice.provenance.trust import TrustAnchors
from tests.bundles import ARTIFACT, KINDS, Kind, make
from tests.signing import ISSUER as SIGNING_ISSUER
from tests.signing import TRAINER, sigstore

IDENTITY, ISSUER = "https://git.example.com/payments/churn/.ci/train.yml@refs/heads/main", "https://token.ci.example.com"
TARGET_RATIO = 1.0
TARGET_BOMB_MS = 50.0
TARGET_BOMB_MIB = 16.0
TARGET_FILES_MS = 50.0
_ROUNDS, _QUICK_ROUNDS = 40, 8
_BUNDLES = 20


def cpu_ms(act: Callable[[], object]) -> float:
    """CPU milliseconds of this thread that `act` takes."""
    start = time.thread_time_ns()
    act()
    return (time.thread_time_ns() - start) / 1e6


def mib_held(act: Callable[[], object]) -> float:
    """MiB that `act` allocates at most at a time."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


def against_the_library(*, rekor: int, files: int, rounds: int) -> dict[str, float]:
    """Medians over `rounds` of `_BUNDLES` bundles each, ours and the library's by turns."""
    now = datetime.now(UTC)
    sigstore = PrivateSigstore.create(now=now)
    statement = model_signature_statement({f"weights/{index:05}.bin": str(index).encode() for index in range(files)})
    bundles = [sigstore.sign_statement(statement, identity=IDENTITY, issuer=ISSUER, when=now, rekor=1 if rekor == 1 else 2) for _ in range(_BUNDLES)]
    anchors = TrustAnchors.sigstore("ci", sigstore.trusted_root_json)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(sigstore.trusted_root_json.encode())
        file.flush()
        verifier = Verifier(trusted_root=TrustedRoot.from_file(file.name))
    policy = Identity(identity=IDENTITY, issuer=ISSUER)

    def ours() -> None:
        for raw in bundles:
            establish(raw, {}, anchors)

    def theirs() -> None:
        for raw in bundles:
            verifier.verify_dsse(Bundle.from_json(raw), policy)

    ours()
    theirs()
    times = [(cpu_ms(ours) / _BUNDLES, cpu_ms(theirs) / _BUNDLES) for _ in range(rounds)]
    mine, library = (statistics.median(column) for column in zip(*times, strict=True))
    return {"ms": mine, "per_second": 1000 / mine, "library_ms": library, "ratio": library / mine}


def by_kind(kind: Kind, *, rounds: int) -> dict[str, float]:
    """One bundle of `kind`, ours and, where the library knows the kind, the library's by turns."""
    raw = make(kind)
    theirs = Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(sigstore().trusted_root_json)))
    policy = Identity(identity=TRAINER, issuer=SIGNING_ISSUER)

    def ours() -> None:
        for _ in range(_BUNDLES):
            kind.verify(raw)

    def library() -> None:
        for _ in range(_BUNDLES):
            if kind.message:
                theirs.verify_artifact(ARTIFACT, Bundle.from_json(raw), policy)
            else:
                theirs.verify_dsse(Bundle.from_json(raw), policy)

    ours()
    try:
        library()
    except Exception as error:  # noqa: BLE001 - whatever it refuses with, there is nothing to compare
        logging.getLogger(__name__).debug("the library does not verify %s: %s", kind, error)
        took = statistics.median(cpu_ms(ours) / _BUNDLES for _ in range(rounds))
        return {"ms": took, "per_second": 1000 / took}
    times = [(cpu_ms(ours) / _BUNDLES, cpu_ms(library) / _BUNDLES) for _ in range(rounds)]
    mine, other = (statistics.median(column) for column in zip(*times, strict=True))
    return {"ms": mine, "per_second": 1000 / mine, "library_ms": other, "ratio": other / mine}


def by_key(rounds: int) -> dict[str, float]:
    """Plain keys, which the library does not verify: no ratio."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - the rest of the benchmark needs no keys of its own
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    anchors = TrustAnchors.keys("keys", {"release": pem})
    raw = sign_with_key(model_signature_statement({"model.bin": b"x"}), key, "release")
    took = statistics.median(cpu_ms(lambda: [establish(raw, {}, anchors) for _ in range(_BUNDLES)]) / _BUNDLES for _ in range(rounds))
    return {"ms": took, "per_second": 1000 / took}


def refusals() -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds to refuse the worst of what may be sent, and MiB that are held meanwhile."""
    anchors = TrustAnchors.sigstore("ci", PrivateSigstore.create().trusted_root_json)
    bombs = {
        "5 MB": b'{"a":"' + b"x" * 5_000_000 + b'"}',
        "1 MB of brackets": b'{"a":' + b"[" * 1_000_000,
        "1 MB of empty objects": b'{"a":[' + b"{}," * 340_000 + b"{}]}",
        "1 MB of digits": b'{"a":' + b"9" * 1_000_000 + b"}",
        "1 MB of members": b"{" + b",".join(b'"%d":0' % index for index in range(90_000)) + b"}",
        "1 MB with one emoji": b'{"a":"' + b"x" * 1_000_000 + '\N{GRINNING FACE}"}'.encode(),
    }

    def refuse(raw: bytes) -> None:
        try:
            establish(raw, {}, anchors)
        except Exception as error:  # noqa: BLE001 - what it is has its tests; here only its cost counts
            logging.getLogger(__name__).debug("refused: %s", error)

    took = {name: cpu_ms(lambda raw=raw: refuse(raw)) for name, raw in bombs.items()}  # type: ignore[misc]  # the lambda binds its own bomb
    return took, {name: mib_held(lambda raw=raw: refuse(raw)) for name, raw in bombs.items()}  # type: ignore[misc]  # as above


def main() -> int:
    """Measure, and print each figure beside its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds; under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
    figures: dict[str, dict[str, float]] = {}
    for name, rekor in (("Rekor v1", 1), ("Rekor v2 and timestamp", 2)):
        figures[name] = figure = against_the_library(rekor=rekor, files=3, rounds=rounds)
        library = f"sigstore-python {figure['library_ms']:6.2f} ms  {figure['ratio']:.2f}x (target ≥ {TARGET_RATIO:.1f}x)"
        print(f"{name:28} {figure['ms']:7.2f} ms CPU  {figure['per_second']:6.0f}/s  {library}")
    for kind in KINDS:
        name = str(kind)
        figures[name] = figure = by_kind(kind, rounds=max(3, rounds // 4))
        compared = f"sigstore-python {figure['library_ms']:6.2f} ms  {figure['ratio']:.2f}x" if "ratio" in figure else "(the library refuses it)"
        print(f"{name[:76]:76} {figure['ms']:5.2f} ms CPU  {figure['per_second']:6.0f}/s  {compared}")
    figures["2,000 files"] = figure = against_the_library(rekor=1, files=2000, rounds=max(2, rounds // 8))
    target = f"(target ≤ {TARGET_FILES_MS:.0f} ms; the library reads no file list)"
    name = "a model of 2,000 files"
    print(f"{name:28} {figure['ms']:7.2f} ms CPU  {figure['per_second']:6.0f}/s  {target}")
    figures["plain key"] = figure = by_key(rounds)
    print(f"{'plain key':28} {figure['ms']:7.2f} ms CPU  {figure['per_second']:6.0f}/s  (no target: the library refuses key bundles)")
    figures["refusals"], figures["refusals, MiB"] = bombs, held = refusals()
    for name, took in bombs.items():
        print(f"refusing {name:21} {took:7.2f} ms CPU, {held[name]:4.1f} MiB  (target ≤ {TARGET_BOMB_MS:.0f} ms, {TARGET_BOMB_MIB:.0f} MiB)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
