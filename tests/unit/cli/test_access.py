"""A command that needs a cluster and finds none says so in one line and with the code for "could not tell"; a process, before it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sluice.cli import main

AT_A_CLUSTER = (
    ("approve", "mr/churn", "-n", "p", "--role", "owner"),
    ("reject", "mr/churn", "-n", "p", "--role", "owner"),
    ("drill", "mr/churn", "-n", "p"),
    ("canary", "watch", "-n", "p"),
    ("canary", "report", "mr/churn", "-n", "p", "-o", "-"),
    ("verify", "release", "mr/churn", "-n", "p"),
    ("controller",),
    ("webhook",),
)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster can be found through the environment."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", AT_A_CLUSTER, ids=" ".join)
def test_without_a_kubeconfig_it_cannot_be_told_and_why(command: tuple[str, ...]) -> None:
    code, output = run(*command)
    assert code == 3
    assert output.count("\n") == 1
    assert "there is no kubeconfig (" in output
    assert "name one with --kubeconfig or KUBECONFIG" in output


@pytest.mark.parametrize("command", AT_A_CLUSTER, ids=" ".join)
def test_a_context_that_is_not_there_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("current-context: a\nclusters: []\nusers: []\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n")
    code, output = run(*command, "--kubeconfig", str(file), "--context", "production")
    assert code == 3
    assert output.count("\n") == 1
    assert "context 'production' leads to no cluster" in output


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("controller", "--scorer-image", "sluice:latest"), "--scorer-image is 'sluice:latest'; name the image by digest"),
        (("controller", "--verifier-image", "sluice:latest"), "--verifier-image is 'sluice:latest'; name the image by digest"),
        (("controller", "--lease-duration", "1"), "lease"),
        (("controller", "--prometheus-url", "prometheus:9090"), "prometheus:9090"),
        (("controller", "--evidence-registry", "https://registry.example.com/UPPER"), "registry.example.com/UPPER"),
        (("controller", "--samples-repository", "registry.example.com"), "registry.example.com"),
        (("controller", "--samples-repository", "s3://ml-audit/samples"), "there are no AWS credentials: set AWS_ACCESS_KEY_ID"),
        (("webhook", "--verifier-image", "sluice:latest"), "--verifier-image is 'sluice:latest'; name the image by digest"),
        (("webhook", "--certificate-lifetime", "1e9"), "lifetime"),
    ],
)
def test_a_flag_that_cannot_be_used_ends_a_process_before_it_looks_for_a_cluster(flags: tuple[str, ...], said: str) -> None:
    code, output = run(*flags)
    assert code == 2
    assert said in output.lower() if said.islower() else said in output
    assert "kubeconfig" not in output.partition("Error:")[2]
