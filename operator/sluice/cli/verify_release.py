"""`sluice verify release`: the verdict on a release, from files or from a cluster, by the same core that decides at admission.

From files it is what the cluster would say if exactly these objects were applied: a change of a policy or of a trust root is tried before it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.access import Access, cluster_options, connected, release_name
from sluice.cli.trusted import FILE
from sluice.cli.verify import OUTPUT, CannotTell, answering, tell

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonValue
    from sluice.cluster.client import ApiClient
    from sluice.decision.model import Verdict
    from sluice.decision.world import World

_FILE_BYTES: Final = 16 << 20
_SHOWN: Final = 5


@click.command("release")
@click.argument("release", callback=release_name, metavar="mr/NAME")
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option(
    "-f", "--filename", "files", type=FILE, multiple=True, help="Manifests, instead of the cluster: releases, evidence, policies, trust roots, the Namespace."
)
@cluster_options
@click.option("--sluice-namespace", default="sluice-system", show_default=True, help="Where Sluice runs: what its controller signed is believed.")
@OUTPUT
def verify_release(
    *, release: str, namespace: str, files: tuple[Path, ...], kubeconfig: Path | None, context: str | None, sluice_namespace: str, output: str
) -> None:
    """Verify that a release may serve, with everything that its policies ask for.

    \b
      sluice verify release mr/churn-2-1-0 -n payments
      sluice verify release mr/churn-2-1-0 -n payments -f release.yaml -f evidence.yaml -f policy.yaml -f trust.yaml -f namespace.yaml

    Every bundle is verified here and now; no status is believed.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.decision.records import Key  # noqa: PLC0415 - see the package
    from sluice.decision.world import World  # noqa: PLC0415

    with answering(output):
        world, key = World(), Key(namespace=namespace, name=release)
        if files:
            _put(world, (item for path in files for item in _objects(path, namespace)))
            if namespace not in world.namespaces:
                click.echo(f"note: the Namespace {namespace} is not among the files; policies select by its labels", err=True)
        else:
            _put(world, asyncio.run(_from_cluster(world, Access(kubeconfig=kubeconfig, context=context), sluice_namespace)))
        verdict = world.verdict(key, now=datetime.now(UTC))
        if verdict is None:
            others = ", ".join(sorted(map(str, world.releases))[:_SHOWN]) or "none"
            problem = f": {world.releases[key]}" if key in world.releases else f" in what was read; there is {others}"
            raise CannotTell(f"there is no ModelRelease {key} that can be read{problem}")
        answer = _answer(verdict)
        tell(answer, output)
        if not answer["verified"]:
            raise click.exceptions.Exit(1)


def _answer(verdict: Verdict) -> dict[str, JsonValue]:
    from sluice.decision.model import Allowance  # noqa: PLC0415 - see the package

    serves = verdict.allows is Allowance.SERVE
    requirements: list[JsonValue] = [
        f"{result.outcome:<9} {result.requirement} ({result.reason}): {result.message}" + (f" → {result.remedy}" if result.remedy else "")
        for result in verdict.results
    ]
    return {
        "verified": serves,
        **({} if serves else {"reason": str(verdict.open[0].reason if verdict.open else "Rejected")}),
        "phase": str(verdict.phase),
        "releaseDigest": verdict.release_digest,
        "evidenceDigest": verdict.evidence_digest,
        "tier": verdict.tier,
        "requirements": requirements,
        "decisions": [f"{finding.name} ({finding.reason}): {finding.message}" for finding in (*verdict.approvals, *verdict.waivers)],
    }


def _put(world: World, items: Iterable[dict[str, Any]]) -> None:
    for item in items:
        world.put(item["kind"], item)


def _objects(path: Path, namespace: str) -> Iterator[dict[str, Any]]:
    """The objects of a file of manifests that decisions depend on. Those without a namespace are in the release's. Raises CannotTell, OSError."""
    import yaml  # noqa: PLC0415 - see the package

    from sluice.api.kinds import KINDS  # noqa: PLC0415
    from sluice.decision.world import World  # noqa: PLC0415

    known, clustered = set(World().kinds), {kind.name for kind in KINDS if not kind.namespaced} | {"Namespace"}
    with path.open("rb") as file:
        raw = file.read(_FILE_BYTES + 1)
    if len(raw) > _FILE_BYTES:
        raise CannotTell(f"{path}: longer than {_FILE_BYTES >> 20} MiB")
    try:
        documents = list(yaml.safe_load_all(raw.decode()))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CannotTell(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())[:300]}") from None
    for document in documents:
        for item in document.get("items") or [] if isinstance(document, dict) and document.get("kind") == "List" else [document]:
            if item is None:
                continue
            metadata = item.get("metadata") if isinstance(item, dict) else None
            if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
                raise CannotTell(f"{path}: a document in it is no Kubernetes object with a name")
            _check_kind(item, path)
            if item.get("kind") in known:
                own = {} if item["kind"] in clustered else {"namespace": metadata.get("namespace") or namespace}
                yield item | {"metadata": metadata | own}


def _check_kind(item: dict[str, Any], path: Path) -> None:
    """Refuse what the API server would not take as ours: a policy with a slip in its kind must not be passed over. Raises CannotTell."""
    from sluice.api.kinds import KINDS  # noqa: PLC0415 - see the package
    from sluice.api.names import API_VERSION, GROUP  # noqa: PLC0415

    kind, version, ours = item.get("kind"), str(item.get("apiVersion", API_VERSION)), [each.name for each in KINDS]
    if kind in ours and version != API_VERSION:
        raise CannotTell(f"{path}: {kind} is of apiVersion {API_VERSION}, not {version[:80]}")
    if kind not in ours and version.startswith(f"{GROUP}/") and "apiVersion" in item:
        raise CannotTell(f"{path}: {GROUP} has no kind {str(kind)[:80]!r}; it has {', '.join(ours)}")


async def _from_cluster(world: World, access: Access, sluice_namespace: str) -> list[dict[str, Any]]:
    """Read everything that decisions depend on. Raises CannotTell, Unknown."""
    from sluice.cluster.errors import ApiError  # noqa: PLC0415 - see the package
    from sluice.cluster.feed import RESOURCES  # noqa: PLC0415

    try:
        async with connected(access) as client:
            await _believe_controller(world, client, sluice_namespace)
            found = [(kind, await client.list(RESOURCES[kind])) for kind in world.kinds]
    except ApiError as error:
        raise CannotTell(f"the cluster does not tell everything that the verdict depends on: {error}") from error
    return [item | {"kind": kind} for kind, items in found for item in items]


async def _believe_controller(world: World, client: ApiClient, namespace: str) -> None:
    """Take the public keys that the controller publishes. Without them, what it has signed counts for nothing."""
    from sluice.api.names import CONTROLLER_KEY  # noqa: PLC0415 - see the package
    from sluice.cluster.errors import ApiError  # noqa: PLC0415
    from sluice.cluster.resource import CONFIG_MAPS  # noqa: PLC0415
    from sluice.provenance.published import read_published  # noqa: PLC0415

    try:
        stored = await client.get(CONFIG_MAPS.path(namespace, CONTROLLER_KEY))
    except ApiError as error:
        click.echo(f"note: what the controller has signed counts for nothing here, since its keys cannot be read: {error}", err=True)
        return
    world.trust_controller(read_published({name: text for name, text in (stored.get("data") or {}).items() if isinstance(text, str)}))
