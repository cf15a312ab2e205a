"""Finding the cluster as kubectl finds it, and proving who we are."""

import asyncio
import base64
import datetime as dt
import json
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.config import incluster_config

import sluice.cluster.connection
from sluice.cluster.connection import Connection, NoCluster

CERTIFICATE_AUTHORITY = ssl.get_default_verify_paths().cafile


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster can be found through the environment of the test run."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")


def write_kubeconfig(folder: Path, user: dict[str, Any], **cluster: object) -> Path:
    file = folder / "kubeconfig"
    contexts = [{"name": name, "context": {"cluster": name, "user": "someone"}} for name in ("first", "second")]
    clusters = [{"name": name, "cluster": {"server": f"http://{name}.invalid:6443/", **cluster}} for name in ("first", "second")]
    content = {"clusters": clusters, "contexts": contexts, "users": [{"name": "someone", "user": user}], "current-context": "first"}
    file.write_text(json.dumps(content))
    return file


def headers(connection: Connection) -> dict[str, str]:
    return asyncio.run(connection.authorization())


def test_the_context_chooses_the_cluster(tmp_path: Path) -> None:
    file = write_kubeconfig(tmp_path, {"token": "secret"})
    assert Connection.load(kubeconfig=file).server == "http://first.invalid:6443"
    connection = Connection.load(kubeconfig=file, context="second")
    assert connection.server == "http://second.invalid:6443"
    assert headers(connection) == {"Authorization": "Bearer secret"}


def test_a_context_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"context 'third' leads to no cluster.*kubectl config get-contexts"):
        Connection.load(kubeconfig=write_kubeconfig(tmp_path, {}), context="third")


def test_a_plugin_is_asked_for_the_token(tmp_path: Path) -> None:
    status = {"token": "from-plugin", "expirationTimestamp": "2099-01-01T00:00:00Z"}
    credential = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [credential], "interactiveMode": "Never"}
    connection = Connection.load(kubeconfig=write_kubeconfig(tmp_path, {"exec": plugin}))
    assert headers(connection) == {"Authorization": "Bearer from-plugin"}


def test_only_the_kubeconfig_names_a_proxy(tmp_path: Path) -> None:
    assert Connection.load(kubeconfig=write_kubeconfig(tmp_path, {})).proxy is None
    named = write_kubeconfig(tmp_path, {}, **{"proxy-url": "http://proxy.example:3128"})
    assert Connection.load(kubeconfig=named).proxy == "http://proxy.example:3128"


def test_the_server_is_verified_unless_the_kubeconfig_says_otherwise(tmp_path: Path) -> None:
    secure = Connection.load(kubeconfig=write_kubeconfig(tmp_path, {}, server="https://api.invalid"))
    assert secure.tls is not None
    assert (secure.tls.verify_mode, secure.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    named = write_kubeconfig(tmp_path, {}, server="https://api.invalid", **{"insecure-skip-tls-verify": True, "tls-server-name": "api.internal"})
    insecure = Connection.load(kubeconfig=named)
    assert insecure.tls is not None
    assert insecure.tls.verify_mode == ssl.CERT_NONE
    assert insecure.server_name == "api.internal"


def test_broken_certificates_are_an_error_at_once(tmp_path: Path) -> None:
    broken = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()
    file = write_kubeconfig(tmp_path, {}, server="https://api.invalid", **{"certificate-authority-data": broken})
    with pytest.raises(NoCluster, match="its certificates cannot be used"):
        Connection.load(kubeconfig=file)


def test_nothing_that_leads_to_a_cluster_is_said_with_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(NoCluster, match=r"there is no kubeconfig \(.*missing\); name one with --kubeconfig or KUBECONFIG"):
        Connection.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"[1]",
        b"\xff\xfe",
        b"clusters:\n\t- name: tab\n",
        b"kind: ModelRelease\nmetadata: {name: churn}\n",
        b"current-context: a\ncontexts: [{name: a}]\nclusters: []\nusers: []\n",
        b"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 1}}]\nusers: [7]\n",
    ],
)
def test_whatever_is_no_kubeconfig_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd"
    file.write_bytes(content)
    with pytest.raises(NoCluster, match=r"the kubeconfig .*odd leads to no cluster: "):
        Connection.load(kubeconfig=file)


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a Pod: a service account's token and CA."""
    assert CERTIFICATE_AUTHORITY is not None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    token = tmp_path / "token"
    token.write_text("first\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", CERTIFICATE_AUTHORITY)
    return token


def test_in_a_pod_the_service_account_is_used(token_file: Path) -> None:
    connection = Connection.load()
    assert connection.server == "https://10.96.0.1:443"
    assert headers(connection)["Authorization"].split() == ["bearer", token_file.read_text().strip()]


def test_in_a_pod_without_a_token_the_service_account_is_named(token_file: Path) -> None:
    token_file.unlink()
    with pytest.raises(NoCluster, match=r"the service account of this Pod leads to no cluster: .*token"):
        Connection.load()


def test_in_a_pod_a_context_that_is_named_still_wins(token_file: Path, tmp_path: Path) -> None:
    assert token_file.exists()
    assert Connection.load(kubeconfig=write_kubeconfig(tmp_path, {})).server == "http://first.invalid:6443"


def test_a_rotated_token_is_used_without_a_restart(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection.load()
    token_file.write_text("second\n")
    assert headers(connection)["Authorization"] == "bearer first"

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Later":
            return cls(2099, 1, 1, tzinfo=tz)

    # The loader looks at the file each minute, we ask the loader every ten seconds.
    monkeypatch.setattr(incluster_config, "datetime", SimpleNamespace(datetime=Later, timedelta=dt.timedelta))
    monkeypatch.setattr(sluice.cluster.connection, "TOKEN_REREAD_SECONDS", 0.0)
    assert headers(connection)["Authorization"] == "bearer second"
