"""`sluice controller` and `sluice webhook`: the two long-running processes. The chart starts them; so may a developer, against any kubeconfig.

The flags of a process are the fields of its `Settings`. What is wrong with them is said at once, in one line; what goes wrong later ends the process with its
traceback, since that is a defect or a cluster that has to be looked into.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from sluice.cli.access import Unknown

F = TypeVar("F", bound=Callable[..., Any])

_WEBHOOK_FLAGS = (
    click.option("--port", type=int, help="Port for admission reviews (HTTPS)."),
    click.option("--probe-port", type=int, help="Port for /healthz, /readyz and /metrics (HTTP)."),
    click.option("--host", help="Address to listen on."),
    click.option("--also-named", multiple=True, help="Further DNS names or addresses of the serving certificate; repeatable."),
    click.option("--world-max-age", type=float, metavar="SECONDS", help="Nothing is decided on knowledge older than this."),
    click.option("--deadline", type=float, metavar="SECONDS", help="For reading a request; below the timeout of the webhook configurations."),
    click.option("--drain", type=float, metavar="SECONDS", help="How long it answers after it has said that it is not ready."),
    click.option("--ca-lifetime", type=float, metavar="SECONDS", help="Lifetime of the CA of the serving certificate."),
    click.option("--certificate-lifetime", type=float, metavar="SECONDS", help="Lifetime of the serving certificate."),
    click.option("--ca-overlap", type=float, metavar="SECONDS", help="How long an old CA is still published beside its successor."),
    click.option("--certificate-check", type=float, metavar="SECONDS", help="How often the certificate is looked at."),
)
_COMMON_FLAGS = (
    click.option("--namespace", envvar="POD_NAMESPACE", help="Namespace of Sluice itself.  [env: POD_NAMESPACE]"),
    click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Path of a kubeconfig; default: the Pod's account."),
    click.option(
        "--verifier-image",
        envvar="VERIFIER_IMAGE",
        metavar="IMAGE",
        help="What checks weights where they are loaded: this image, by digest.  [env: VERIFIER_IMAGE]",
    ),
    click.option("--context", help="Context in the kubeconfig."),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True, help="What is logged."),
)


def _with(*flags: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return decorate


def _settings(kind: Any, flags: dict[str, Any]) -> Any:  # noqa: ANN401 - any Settings
    """Make Settings of the flags that were given; what was not given keeps the default of the field."""
    fields = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in flags.items() if name in fields and value not in (None, ())})


def _serve(settings: Any, read: Callable[[Any], object], run: Callable[[Any], Coroutine[Any, Any, None]]) -> None:  # noqa: ANN401 - any Settings
    """Run a process until it ends; `read` reads every setting that can be wrong. Raises UsageError, Unknown, and what `run` raises."""
    from sluice.cluster.connection import NoCluster  # noqa: PLC0415 - see the package

    try:
        read(settings)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(run(settings))
    except NoCluster as error:
        raise Unknown(str(error)) from error


def _log(level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")


@click.command()
@_with(*_COMMON_FLAGS, *_WEBHOOK_FLAGS)
def webhook(*, log_level: str, **flags: Any) -> None:  # noqa: ANN401 - click's options
    """Answer admission reviews: fast reasons for people, and approved models lose their gates in the same request.

    Stateless; run two or more. It decides from its own watches and trusts no status. While it is down, the API server itself holds what is governed.
    """
    from sluice.decision.weights import pinned  # noqa: PLC0415 - see the package
    from sluice.webhook.run import Settings, run  # noqa: PLC0415

    _log(log_level)
    _serve(_settings(Settings, flags), lambda it: (it.lifetimes, pinned(it.verifier_image)), run)


_CONTROLLER_FLAGS = (
    click.option("--identity", envvar="POD_NAME", help="Name of this replica in the Lease and in events.  [env: POD_NAME]"),
    click.option("--probe-port", type=int, help="Port for /healthz, /readyz and /metrics (HTTP)."),
    click.option("--host", help="Address to listen on."),
    click.option("--lease-duration", type=int, metavar="SECONDS", help="How long a Lease lasts that nobody renews."),
    click.option("--lease-renew-deadline", type=float, metavar="SECONDS", help="A holder that could not renew for this long ends itself."),
    click.option("--lease-retry", type=float, metavar="SECONDS", help="How often the Lease is looked at."),
    click.option("--resync", type=float, metavar="SECONDS", help="How often everything is looked at without any reason."),
    click.option("--world-max-age", type=float, metavar="SECONDS", help="Nothing is let in on knowledge older than this."),
    click.option("--concurrency", type=int, help="Objects looked at at once."),
    click.option("--scorer-image", envvar="SCORER_IMAGE", metavar="IMAGE", help="What canary scorers run: this image, by digest.  [env: SCORER_IMAGE]"),
    click.option("--scorer-queue", metavar="NAME", help="Kueue LocalQueue that scoring Jobs wait in, in each namespace with releases; default: none."),
    click.option(
        "--samples-repository",
        metavar="PLACE",
        help="OCI repository, or s3://BUCKET/PREFIX, that keeps every answer of a canary run; default: none is kept.",
    ),
    click.option(
        "--samples-auth-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Docker configuration with credentials for a registry."
    ),
    click.option("--samples-endpoint", metavar="URL", help="Where the bucket's S3 is, where that is not Amazon.  [env: AWS_ENDPOINT_URL_S3]"),
    click.option("--samples-region", metavar="REGION", help="The region that the bucket is in.  [env: AWS_REGION]"),
    click.option("--samples-keep", type=click.Choice(["digests", "texts"]), help="What is kept of an answer: its digest, or what it says too."),
    click.option(
        "--evidence-registry",
        multiple=True,
        metavar="REGISTRY",
        help="A registry, or a part of one, that evidence may be fetched from; repeatable. Default: none.",
    ),
    click.option("--evidence-pull-secret", multiple=True, metavar="NAME", help="A Secret in namespaces of releases that may hold an account; repeatable."),
    click.option("--registry-ca-file", type=click.Path(path_type=Path), help="CAs of registries' certificates, PEM, beside those of the system."),
    click.option("--canary-start", type=float, metavar="SECONDS", help="How long the Pods of a canary run may take until they can be asked."),
    click.option("--prometheus-url", metavar="URL", help="The Prometheus that monitors ask."),
    click.option("--prometheus-token-file", type=click.Path(path_type=Path), help="File with a bearer token for it; needs https. Read anew for each query."),
    click.option("--prometheus-ca-file", type=click.Path(path_type=Path), help="CA of its certificate; default: those of the system."),
)


@click.command()
@_with(*_COMMON_FLAGS, *_CONTROLLER_FLAGS)
def controller(*, log_level: str, **flags: Any) -> None:  # noqa: ANN401 - click's options
    """Verify, decide, say so in status and events, and lift what is entitled.

    One replica is active, by Lease; others wait with everything in memory and take over within 20 seconds.
    """
    from sluice.controller.run import run  # noqa: PLC0415 - see the package
    from sluice.controller.settings import Settings  # noqa: PLC0415
    from sluice.decision.weights import pinned  # noqa: PLC0415

    _log(log_level)
    _serve(_settings(Settings, flags), lambda it: (it.timing, it.scorers, it.samples, it.registries, it.prometheus, pinned(it.verifier_image)), run)
