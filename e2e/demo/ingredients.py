"""What the story is told with: model versions with their evaluations, and images in the cluster's registry."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from e2e.cluster import Narrator
from e2e.demo.manifests import SUITE
from e2e.demo.model import WEIGHTS, Question, Trained, quantised, trained
from e2e.demo.target import Target
from e2e.images import build_model, build_model_server, build_sluice
from sluice.provenance.model_directory import manifest_of

STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sluice-demo"
MODEL = "digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model, ready to be released."""

    number: str
    change: str
    folder: Path
    """The files that are signed and served."""
    digest: str
    """Name-binding digest of the files."""
    results: Path
    """lm-eval's own results file."""
    held_out: tuple[Question, ...]
    """What it was evaluated on."""
    image: str
    server: str
    baseline: str | None = None

    @property
    def accuracy(self) -> float:
        """Share of the held-out images that it reads right, by lm-eval's file."""
        return float(json.loads(self.results.read_text(encoding="utf-8"))["results"][SUITE]["acc,none"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """All of it."""

    old: Version
    new: Version
    """Eight bits: as good as the old one."""
    coarse: Version
    """Three bits, two in one layer: as good on average, and many of the eights are lost."""
    forged: Version
    sluice: str


def gather(target: Target, narrator: Narrator) -> Ingredients:
    """Train, quantise and evaluate; build the images and push them. What is there already is not made again."""
    sluice = target.push(build_sluice(narrator=narrator).layout, "sluice")
    server = target.push(build_model_server(narrator=narrator).layout, "model-server")
    weights = trained("1.0.0", narrator=narrator)
    fine = quantised("1.1.0", weights, bits=(8, 8, 8), narrator=narrator)
    coarse = quantised("1.2.0", weights, bits=(3, 2, 4), narrator=narrator)
    new = _version(target, fine, server, narrator, change="Quantize", baseline="digits-1-0-0")
    return Ingredients(
        old=_version(target, weights, server, narrator, change="Train"),
        new=new,
        coarse=_version(target, coarse, server, narrator, change="Quantize", baseline="digits-1-1-0"),
        forged=_forged(new),
        sluice=sluice,
    )


def _version(target: Target, model: Trained, server: str, narrator: Narrator, *, change: str, baseline: str | None = None) -> Version:
    image = target.push(build_model(MODEL, model.version, model.folder, narrator=narrator).layout, f"models/{MODEL}")
    return Version(
        number=model.version,
        change=change,
        folder=model.folder,
        digest=manifest_of(model.folder).digest,
        results=model.results,
        held_out=model.held_out,
        image=image,
        server=server,
        baseline=baseline,
    )


def _forged(genuine: Version) -> Version:
    """Change one byte of the weights."""
    folder = STATE / "forged"
    shutil.rmtree(folder, ignore_errors=True)
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE) as scratch:
        copy = Path(scratch) / "model"
        shutil.copytree(genuine.folder, copy)
        weights = bytearray((copy / WEIGHTS).read_bytes())
        weights[len(weights) // 2] ^= 1
        (copy / WEIGHTS).write_bytes(weights)
        copy.rename(folder)
    return replace(genuine, number="1.1.1", folder=folder, digest=manifest_of(folder).digest, baseline="digits-1-1-0")
