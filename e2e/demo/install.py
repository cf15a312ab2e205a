"""Install Sluice from this checkout: the chart, with the image by digest."""

from __future__ import annotations

from pathlib import Path

from e2e.demo.target import Target

CHART = Path(__file__).resolve().parents[2] / "charts" / "sluice"
SYSTEM = "sluice-system"


def install(target: Target, image: str) -> None:
    """Install or upgrade, and wait until both Deployments are ready."""
    repository, _, digest = image.partition("@")
    target.helm(
        "upgrade", "--install", "sluice", str(CHART), "--namespace", SYSTEM, "--create-namespace",
        "--set", f"image.repository={repository}", "--set", f"image.digest={digest}",
        "--take-ownership", "--wait", "--timeout", "3m",
    )  # fmt: skip
