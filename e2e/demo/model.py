"""The demo's model versions: trained and evaluated once, then kept under a key of everything that goes into them.

What imports scikit-learn or lm-eval is in `e2e.demo.digits` and runs in an environment of its own, outside the checkout.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.narrate import Narrator, StepFailed
from e2e.images.inputs import CHECKOUT, key_of, read

PINS = CHECKOUT / "requirements" / "demo.txt"
PROGRAMS = CHECKOUT / "e2e" / "demo" / "digits"
WEIGHTS = "model.safetensors"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""The task is a local file: the harness must not look for it anywhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An image that training never saw, and what it shows by the people who labelled it."""

    image: tuple[int, ...]
    """64 pixels from 0 (white) to 16 (black), row by row."""
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One version of the model, with what lm-eval found out about it and the held-out images."""

    version: str
    folder: Path
    """`model.safetensors`, `parameters.json`, `model-settings.json`, and nothing else: all of it is served, all of it gets signed."""
    results: Path
    """lm-eval's own `results_*.json` over 827 held-out images: task `digits`, metric `acc`."""
    held_out: tuple[Question, ...]
    """Those images."""


def trained(version: str, *, narrator: Narrator) -> Trained:
    """Give a version of the model; train and evaluate it when it is not there.

    The same version has the same bytes each time on one machine. Raises StepFailed with the end of the log.
    """
    return _made(version, [], narrator)


def quantised(version: str, of: Trained, *, bits: tuple[int, ...], narrator: Narrator) -> Trained:
    """Give a version whose weights are those of another, rounded to so many `bits` in each layer; make and evaluate it when it is not there.

    Raises StepFailed with the end of the log.
    """
    return _made(version, [f"--weights={of.folder / WEIGHTS}", "--bits", *map(str, bits)], narrator)


def _made(version: str, means: list[str], narrator: Narrator) -> Trained:
    # The folder of another version has its own key in its name.
    key = key_of({**read([PINS, PROGRAMS], below=CHECKOUT), "version": " ".join([version, *means]).encode()})
    folder = _cache() / f"digits-{version}-{key}"
    if not folder.exists():
        with _alone() as scratch:
            # Somebody else may have made it while we waited for our turn.
            if not folder.exists():
                _make(folder, scratch, version, means, narrator)
    (results,) = folder.glob("evaluation/*/results_*.json")
    with (folder / "evaluation" / "held-out.jsonl").open(encoding="utf-8") as questions:
        held_out = tuple(_question(json.loads(line)) for line in questions)
    return Trained(version=version, folder=folder / "model", results=results, held_out=held_out)


def _make(folder: Path, scratch: Path, version: str, means: list[str], narrator: Narrator) -> None:
    python = _environment(narrator)
    model = scratch / "made" / "model"
    with narrator.step(f"{'quantise' if means else 'train'} digits {version}"):
        _run(python, "e2e.demo.digits.train", str(model), f"--version={version}", *means, log=_cache() / "train.log")
    with narrator.step(f"evaluate digits {version} with lm-eval (log: {_cache() / 'evaluate.log'})"):
        _run(python, "e2e.demo.digits.evaluate", str(model), str(scratch / "made" / "evaluation"), log=_cache() / "evaluate.log")
    (scratch / "made").rename(folder)


def _question(asked: dict[str, Any]) -> Question:
    pixels = tuple(int(pixel) for line in asked["prompt"].splitlines()[:8] for pixel in line.split())
    return Question(image=pixels, label=asked["label"])


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice" / "demo"


@contextmanager
def _alone() -> Iterator[Path]:
    """Hold the cache to ourselves, and give a scratch folder in it that goes with the block."""
    _cache().mkdir(parents=True, exist_ok=True)
    handle = os.open(_cache(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in _cache().glob(".making-*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=_cache()) as scratch:
            yield Path(scratch)
    finally:
        os.close(handle)


def _environment(narrator: Narrator) -> Path:
    """Give the Python that has scikit-learn and lm-eval; install them when it is not there."""
    # Not by the checkout's own interpreter: checkouts would take the environment from each other, which is half a gigabyte.
    key = key_of({"pins": PINS.read_bytes(), "python": f"{sys.base_prefix} {sys.version}".encode()})
    folder = _cache() / f"venv-{key}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    for other in _cache().glob("venv-*"):
        shutil.rmtree(other)
    log = _cache() / "install.log"
    with narrator.step(f"install scikit-learn and lm-eval for the demo (log: {log})"):
        _call([sys.executable, "-m", "venv", str(folder)], log=log)
        # The list is complete. Three packages in it come as source only: their setup.py runs here, after its hash was checked.
        _call([str(python), "-m", "pip", "install", "--progress-bar=off", "--no-deps", "--require-hashes", "--requirement", str(PINS)], log=log)
    (folder / "complete").touch()
    return python


def _run(python: Path, program: str, *arguments: str, log: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as home:
        # The harness keeps the task's file in a cache below HF_HOME: with a fresh one it never meets yesterday's.
        _call([str(python), "-m", program, *arguments], log=log, environment={**OFFLINE, "HF_HOME": home})


def _call(command: list[str], *, log: Path, environment: dict[str, str] | None = None) -> None:
    with log.open("wb") as output:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", *command],
            check=False,
            cwd=CHECKOUT,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if done.returncode:
        raise StepFailed(f"{' '.join(command[:3])} failed with exit code {done.returncode}", log=log)


if __name__ == "__main__":
    print(trained("1.0.0", narrator=Narrator()).folder)
