"""Where the API server is and how to prove who we are.

The `kubernetes` package reads the settings (service account, kubeconfig with contexts, client certificates, exec plugins), so that
Sluice finds the cluster that kubectl finds. Nothing else of that package is used.

Limits: proxies come from the kubeconfig's `proxy-url` only, never from the environment. CA and client certificates are read once:
a process outlives neither its cluster's CA nor a client certificate that an exec plugin hands out.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import Final

import yaml
from kubernetes import config
from kubernetes.client import Configuration

TOKEN_REREAD_SECONDS: Final = 10.0
"""How long a token is used before the loader is asked again, which re-reads the service account's file or runs the exec plugin if due."""


class NoCluster(Exception):
    """No settings lead to a cluster. The message says which were looked at, what is wrong with them, and what to do."""


class Connection:
    """Address, TLS context and credentials of one API server."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._token: str | None = None
        self._token_read_at = -TOKEN_REREAD_SECONDS
        self._reading = asyncio.Lock()
        self.server = str(configuration.host).rstrip("/")
        self.server_name: str | None = configuration.tls_server_name or None
        self.proxy: str | None = configuration.proxy or None
        self.tls = _tls(configuration) if self.server.startswith("https:") else None

    @classmethod
    def load(cls, *, kubeconfig: Path | None = None, context: str | None = None) -> Connection:
        """Find the cluster: a kubeconfig or context when named, else the Pod's service account, else kubectl's default.

        Raises NoCluster.
        """
        try:
            return cls._load(kubeconfig, context)
        # A kubeconfig is anybody's text, and the package takes it as it comes: besides its own error, whatever a wrong shape makes of its code.
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise NoCluster(_explanation(error, kubeconfig, context)) from error

    @classmethod
    def _load(cls, kubeconfig: Path | None, context: str | None) -> Connection:
        # An empty proxy stands for "none"; None would make the package look into the environment.
        configuration = Configuration(proxy="")
        if kubeconfig is None and context is None and _in_cluster():
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            file = None if kubeconfig is None else str(kubeconfig)
            # Not persisted: a refreshed token is never written into somebody's kubeconfig.
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=file, context=context, client_configuration=configuration, persist_config=False
            )
        return cls(configuration)

    @property
    def configuration(self) -> Configuration:
        """The settings as the `kubernetes` package read them, for another client of the same cluster. Not to be changed."""
        return self._configuration

    async def authorization(self) -> dict[str, str]:
        """Headers that authenticate a request now; none when the client certificate does.

        Reading happens in a thread, since an exec plugin takes as long as it likes.
        """
        async with self._reading:
            if time.monotonic() - self._token_read_at >= TOKEN_REREAD_SECONDS:
                token = await asyncio.to_thread(self._configuration.get_api_key_with_prefix, "BearerToken")
                # Token files may end in a newline, which no header may contain.
                self._token = token.strip() if token else None
                self._token_read_at = time.monotonic()
        return {"Authorization": self._token} if self._token else {}


def _in_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


def _explanation(error: Exception, kubeconfig: Path | None, context: str | None) -> str:
    problem = " ".join(str(error).split())[:300]
    if kubeconfig is None and context is None and _in_cluster():
        return f"the service account of this Pod leads to no cluster: {problem}"
    where = str(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
    if "No configuration found" in problem:
        return f"there is no kubeconfig ({where}); name one with --kubeconfig or KUBECONFIG"
    if isinstance(error, ssl.SSLError):
        problem = f"its certificates cannot be used: {problem}"
    elif not isinstance(error, config.ConfigException | yaml.YAMLError | OSError):
        problem = f"it is not shaped like a kubeconfig ({problem})"
    chosen = "" if context is None else f", context {context!r}"
    return f"the kubeconfig {where}{chosen} leads to no cluster: {problem}; see kubectl config get-contexts"


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    if not configuration.verify_ssl:
        # The kubeconfig says `insecure-skip-tls-verify: true`: the user's decision, as with kubectl.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
