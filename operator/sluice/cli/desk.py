"""What decisions depend on, laid out on a desk: manifests from files, objects from a cluster, or the ones on top of the others.

Files are read as kubectl reads them, folders with all that is below them. What lies on the desk is decided by the same core as at admission; every bundle is
verified here and now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sluice.cli.access import Access, connected
from sluice.cli.verify import CannotTell

if TYPE_CHECKING:
    from sluice.cluster.client import ApiClient
    from sluice.decision.records import Key
    from sluice.decision.world import World

FILES: Final = click.Path(exists=True, path_type=Path)
SLUICE_NAMESPACE: Final = click.option(
    "--sluice-namespace", default="sluice-system", show_default=True, help="Where Sluice runs: what its controller signed is believed."
)
_FILE_BYTES: Final = 16 << 20
_MOST_FILES: Final = 10_000
_MANIFESTS: Final = frozenset({".yaml", ".yml", ".json"})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster to read from. What the controller in `sluice_namespace` has signed is believed."""

    access: Access
    sluice_namespace: str


class Place(NamedTuple):
    """Where an object was read."""

    path: Path
    line: int


@dataclass(slots=True, kw_only=True)
class Desk:
    """What was read, and from which files."""

    world: World
    places: dict[tuple[str, Key], Place] = field(default_factory=dict)
    """By kind and key; what came from a cluster has none."""
    items: dict[tuple[str, Key], dict[str, Any]] = field(default_factory=dict)
    """What lies on it, as it was put there."""

    @classmethod
    def laid_out(cls, *, files: Iterable[Path], namespace: str, cluster: Cluster | None) -> Desk:
        """Read the cluster, if there is one, and then the files, whose objects take the place of those of the same name.

        `namespace` is that of objects in files that name none. Raises CannotTell, Unknown, OSError.
        """
        from sluice.decision.authority import asks_for_authority  # noqa: PLC0415 - see the package
        from sluice.decision.world import World  # noqa: PLC0415

        desk = cls(world=World())
        if cluster is not None:
            found, hidden = asyncio.run(_from_cluster(desk.world, cluster))
            for item in found:
                desk._put(item)
            if not hidden:
                desk.world.listed_all()
            elif asks_for_authority(desk.world.policies.values()):
                click.echo(f"note: you may not list every {', '.join(hidden)}, so what the cluster grants is not known here", err=True)
        desk.lay(files, namespace=namespace)
        return desk

    def lay(self, files: Iterable[Path], *, namespace: str) -> None:
        """Lay files over what is there; `namespace` is that of objects in them that name none. Raises CannotTell, OSError."""
        from sluice.api.kinds import MODEL_RELEASE  # noqa: PLC0415 - see the package
        from sluice.decision.records import Key  # noqa: PLC0415

        for path in (path for named in files for path in manifests_below(named)):
            for line, item in _objects(path, namespace):
                at, applied = (item["kind"], Key.of(item)), item
                if item["kind"] == MODEL_RELEASE.name:
                    # As when it is applied: what a file says of its status is dropped, and what the cluster has stays.
                    applied = item | {"status": self.items.get(at, {}).get("status") or {}}
                self._put(applied)
                self.places[at] = Place(path=path, line=line)

    def _put(self, item: dict[str, Any]) -> None:
        from sluice.decision.records import Key  # noqa: PLC0415 - see the package

        self.world.put(item["kind"], item)
        self.items[item["kind"], Key.of(item)] = item

    def nothing(self, key: Key) -> CannotTell:
        """Say that there is no such release."""
        others = ", ".join(sorted(map(str, self.world.releases))[:_SHOWN]) or "none"
        problem = f": {self.world.releases[key]}" if key in self.world.releases else f" in what was read; there is {others}"
        return CannotTell(f"there is no ModelRelease {key} that can be read{problem}")

    def without_namespace(self, namespaces: Iterable[str]) -> None:
        """Tell people where no policy can select a release, since the Namespace is not there."""
        for namespace in sorted(set(namespaces) - set(self.world.namespaces)):
            click.echo(f"note: the Namespace {namespace} is not among the files; policies select by its labels", err=True)


def manifests_below(named: Path) -> list[Path]:
    """The file, or all manifests below a folder. Raises CannotTell: there are too many, or none."""
    if not named.is_dir():
        return [named]
    found = [path for path in sorted(named.rglob("*")) if path.suffix in _MANIFESTS and path.is_file()]
    if not found:
        raise CannotTell(f"{named}: no file in it ends in {', '.join(sorted(_MANIFESTS))}; name manifests, or a folder that has some")
    if len(found) > _MOST_FILES:
        raise CannotTell(f"{named}: {len(found):,} files end in {', '.join(sorted(_MANIFESTS))}; at most {_MOST_FILES:,} are read")
    return found


def _objects(path: Path, namespace: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of manifests that decisions depend on, each with its line. Those that name no namespace are in `namespace`.

    Raises CannotTell, OSError.
    """
    from sluice.api.kinds import KINDS  # noqa: PLC0415 - see the package
    from sluice.cli.manifests import ManifestRefused, check_rules, located  # noqa: PLC0415
    from sluice.decision.access import API_VERSIONS, CLUSTERED  # noqa: PLC0415
    from sluice.decision.world import World  # noqa: PLC0415

    known, clustered = set(World().kinds), {kind.name for kind in KINDS if not kind.namespaced} | CLUSTERED | {"Namespace"}
    with path.open("rb") as file:
        raw = file.read(_FILE_BYTES + 1)
    if len(raw) > _FILE_BYTES:
        raise CannotTell(f"{path}: longer than {_FILE_BYTES >> 20} MiB")
    try:
        found = located(raw.decode())
    except ValueError as error:
        raise CannotTell(f"{path}: {error}") from None
    for line, document in found:
        for item in document.get("items") or [] if isinstance(document, dict) and document.get("kind") == "List" else [document]:
            if item is None:
                continue
            metadata = item.get("metadata") if isinstance(item, dict) else None
            if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
                raise CannotTell(f"{path}: a document in it is no Kubernetes object with a name")
            _check_kind(item, path)
            try:
                check_rules(item)
            except ManifestRefused as error:
                raise CannotTell(f"{path}: {error}") from None
            # Others have a Role and a NetworkPolicy of their own, which grant nothing here.
            if item.get("kind") in known and item.get("apiVersion") == API_VERSIONS.get(item["kind"], item.get("apiVersion")):
                own = {} if item["kind"] in clustered else {"namespace": metadata.get("namespace") or namespace}
                yield line, item | {"metadata": metadata | own}


def _check_kind(item: dict[str, Any], path: Path) -> None:
    """Refuse what the API server would not take as ours: a policy with a slip in its kind must not be passed over. Raises CannotTell."""
    from sluice.api.kinds import KINDS  # noqa: PLC0415 - see the package
    from sluice.api.names import API_VERSION, GROUP  # noqa: PLC0415

    kind, version, ours = item.get("kind"), str(item.get("apiVersion", API_VERSION)), [each.name for each in KINDS]
    if kind in ours and version != API_VERSION:
        raise CannotTell(f"{path}: {kind} is of apiVersion {API_VERSION}, not {version[:80]}")
    if kind not in ours and version.startswith(f"{GROUP}/") and "apiVersion" in item:
        raise CannotTell(f"{path}: {GROUP} has no kind {str(kind)[:80]!r}; it has {', '.join(ours)}")


async def _from_cluster(world: World, cluster: Cluster) -> tuple[list[dict[str, Any]], list[str]]:
    """Read everything that decisions depend on, and tell which kinds that grant something may not be read: not everybody may.

    Raises CannotTell, Unknown.
    """
    from sluice.cluster.errors import ApiError, Forbidden  # noqa: PLC0415 - see the package
    from sluice.cluster.feed import GRANTING, RESOURCES  # noqa: PLC0415

    items: list[dict[str, Any]] = []
    hidden: list[str] = []
    try:
        async with connected(cluster.access) as client:
            await _believe_controller(world, client, cluster.sluice_namespace)
            for kind in world.kinds:
                try:
                    items += [item | {"kind": kind} for item in await client.list(RESOURCES[kind])]
                except Forbidden:
                    if kind not in GRANTING:
                        raise
                    hidden.append(kind)
    except ApiError as error:
        raise CannotTell(f"the cluster does not tell everything that the verdict depends on: {error}") from error
    return items, hidden


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
