"""`python -m tests.fuzz NAME --seconds N`: mutate the corpus until time is up, or something is found, which is then kept in the corpus.

With atheris installed its coverage leads the way, and what led to new code is kept in `grown/`; without it, bytes and members of JSON are changed at random,
from a seed that is printed. What is found is an exception that the target does not promise, and memory of the process above the bound.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tests.fuzz import grown
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import CORPUS, TARGETS, Target, seeds

FOUND = 1


def main(arguments: list[str]) -> int:
    """Fuzz one target; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--memory-mib", type=int, default=512, help="what the process may hold at most")
    parser.add_argument("--without-atheris", action="store_true")
    options = parser.parse_args(arguments)
    target = TARGETS[options.name]
    if importlib.util.find_spec("atheris") is not None and not options.without_atheris:
        return _led(options.name, seconds=options.seconds, memory_mib=options.memory_mib)
    return _random(options.name, target, seconds=options.seconds, seed=options.seed, memory_mib=options.memory_mib)


def _led(name: str, *, seconds: float, memory_mib: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for index, raw in enumerate([*seeds(name), *grown.unpack(name)]):
        (folder / f"seed-{index}").write_bytes(raw)
    # It ends its process: whoever keeps what it leaves has to be another one.
    fuzzer = get_context("fork").Process(target=_fuzz, args=(name, folder), kwargs={"seconds": seconds, "memory_mib": memory_mib})
    fuzzer.start()
    fuzzer.join()
    if fuzzer.exitcode:
        return FOUND
    begun_with = set(seeds(name))
    grown.pack(name, (raw for path in folder.iterdir() if (raw := path.read_bytes()) not in begun_with))
    return 0


def _fuzz(name: str, folder: Path, *, seconds: float, memory_mib: int) -> None:
    atheris = importlib.import_module("atheris")
    # Coverage is counted in what is imported from here on: ours, once more.
    for module in [each for each in sys.modules if each.partition(".")[0] in {"e2e", "sluice", "tests"}]:
        del sys.modules[module]
    with atheris.instrument_imports(include=["sluice"]):
        targets = importlib.import_module("tests.fuzz.targets")
    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    words = [sys.argv[0], str(folder), f"-max_total_time={int(seconds)}", f"-rss_limit_mb={memory_mib}", "-max_len=65536", f"-artifact_prefix={found}/"]
    atheris.Setup(words, targets.TARGETS[name])
    atheris.Fuzz()


def _random(name: str, target: Target, *, seconds: float, seed: int, memory_mib: int) -> int:
    random, pool, tried = Random(seed), [*seeds(name), *grown.unpack(name)] or [b"{}"], 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        raw = mutated(random.choice(pool), random)
        tried += 1
        try:
            target(raw)
        except Exception:  # noqa: BLE001 - this is what is looked for
            traceback.print_exc()
            return _keep(name, raw, f"after {tried} inputs, seed {seed}")
        if (held := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024) > memory_mib:
            return _keep(name, raw, f"the process holds {held} MiB after {tried} inputs, seed {seed}")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{name}: {tried} inputs, nothing found, {held} MiB at most, seed {seed}\n")
    return 0


def _keep(name: str, raw: bytes, words: str) -> int:
    path = CORPUS / name / hashlib.sha256(raw).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    sys.stdout.write(f"{name}: found {path}: {words}\n")
    return FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
