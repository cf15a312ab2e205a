"""Install Sluice from this checkout: the chart, with the image by digest."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster import StepFailed
from e2e.demo.target import SYSTEM, Target

CHART = Path(__file__).resolve().parents[2] / "charts" / "sluice"


def install(target: Target, image: str) -> None:
    """Install or upgrade, and wait until both Deployments are ready. Raises StepFailed with the last lines of each Pod that does not get ready."""
    target.mark(SYSTEM)
    repository, _, digest = image.partition("@")
    try:
        target.helm(
            "upgrade", "--install", "sluice", str(CHART), "--namespace", SYSTEM, "--create-namespace",
            "--set", f"image.repository={repository}", "--set", f"image.digest={digest}",
            "--take-ownership", "--wait", "--timeout", "3m",
        )  # fmt: skip
    except StepFailed as failed:
        pods = target.kubectl("get", "pods", "-n", SYSTEM, check=False).stdout
        lines = [failed.args[0], pods]
        for pod in (line.split() for line in pods.splitlines()[1:]):
            ready, _, wanted = pod[1].partition("/")
            if ready != wanted:
                last = target.kubectl("logs", f"pod/{pod[0]}", "-n", SYSTEM, "--all-containers", "--tail=20", check=False)
                lines += [f"last lines of {pod[0]}:", last.stdout or last.stderr]
        raise StepFailed("\n".join(lines)) from failed
