"""The alerting rules, judged by Prometheus itself: they are well formed, fire on what they are for, and the chart installs just these. Needs no cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import Narrator
from e2e.cluster.build import Binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/sluice"
RULES = CHART / "files/alerts.yaml"
IMAGE = ("--set=image.repository=registry.example.com/sluice", f"--set=image.digest=sha256:{'0' * 64}")


@pytest.fixture(scope="module")
def binaries() -> Binaries:
    """Built when they are first looked up."""
    return Binaries(Narrator())


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)


def installed(binaries: Binaries, *arguments: str) -> list[dict[str, Any]]:
    """The rules among what the chart installs."""
    done = run(binaries["helm"], "template", "sluice", CHART, "--namespace=monitored", "--kube-version=1.36.3", *IMAGE, *arguments)
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj and obj["kind"] == "PrometheusRule"]


def test_prometheus_finds_nothing_wrong(binaries: Binaries) -> None:
    done = run(binaries["promtool"], "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cases", sorted((ROOT / "tests/cluster/alerts").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_alert_fires_on_what_it_is_for_and_on_nothing_else(binaries: Binaries, cases: Path) -> None:
    done = run(binaries["promtool"], "test", "rules", cases)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_never_fires_is_found(binaries: Binaries, tmp_path: Path) -> None:
    dead = RULES.read_text().replace("< 3600", "< 0")
    assert dead != RULES.read_text()
    (tmp_path / "alerts.yaml").write_text(dead)
    cases = (ROOT / "tests/cluster/alerts/canaries.yaml").read_text().replace("../../../charts/sluice/files/alerts.yaml", "alerts.yaml")
    (tmp_path / "cases.yaml").write_text(cases)
    assert run(binaries["promtool"], "test", "rules", tmp_path / "cases.yaml").returncode != 0


def test_no_rules_are_installed_unless_asked_for(binaries: Binaries) -> None:
    assert installed(binaries) == []


def test_the_chart_installs_just_these_rules(binaries: Binaries) -> None:
    (rule,) = installed(binaries, "--set=alerts.enabled=true", "--set=alerts.labels.release=monitoring")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    assert rule["metadata"]["namespace"] == "monitored"
    assert rule["metadata"]["labels"]["release"] == "monitoring"
