"""From registries to `ReleaseEvidence`: bundles that refer to artifacts of a release, and the bytes of those that are named by reference.

Two steps, so that people see both. What refers to an artifact becomes an object that names it (`bundle.oci`), owned by its release; what an object names is
fetched once and becomes an object that holds the bytes (`bundle.inline`), owned by the first. Every process verifies these bytes by itself like any others:
nothing is believed because we fetched it, and admission asks no registry.

Work of its own queue: who waits for a registry keeps no release waiting. Looks come at once when a release is new, and then with growing pauses.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.base import Condition, NameRef
from sluice.api.evidence import EvidenceStatus
from sluice.api.names import FOUND_FOR_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, Invalid
from sluice.cluster.feed import WorldFeed
from sluice.cluster.fetching import NotFetched, Registries, Repository
from sluice.cluster.outbound import Reference
from sluice.cluster.pull_secrets import credentials_for
from sluice.cluster.referrers import Referrers, fetch_bundle, list_bundles
from sluice.cluster.resource import EVIDENCE, RELEASES
from sluice.controller.conditions import Moment, wire
from sluice.controller.work import Item
from sluice.controller.writing import write_status
from sluice.decision.discovery_reasons import DiscoveryReason
from sluice.decision.model import Release
from sluice.decision.records import Key

CONDITION: Final = "Discovered"
"""On a release: what came of looking for evidence."""
FETCHED: Final = "Fetched"
"""On evidence that names its bundle by reference."""
PAUSES_SECONDS: Final = (10.0, 3600.0)
"""First and longest pause between two looks at the same thing; each is twice as long as the one before."""
LOOK_SECONDS: Final = 40.0
"""For all artifacts of a release together; below the time that one piece of work may take."""
MOST_PLACES: Final = 16
"""Artifacts of a release that are looked at."""
MOST_FOUND: Final = 64
"""Bundles that become objects for one release."""
_NAME_LENGTH: Final = 220
_LABEL_LENGTH: Final = 63

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of a look, in words for people."""

    found: bool
    reason: DiscoveryReason
    message: str

    def condition(self, type_: str, moment: Moment) -> Condition:
        """The same as a condition."""
        return moment.condition(type_, self.found, str(self.reason), self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The last look at an object: what came of it, when the next one is due (monotonic seconds) and the pause after that."""

    uid: str
    looked: Looked
    due: float
    pause: float


class Discovery:
    """Looks for evidence. `look_at` queues releases whose status has something new to say."""

    def __init__(
        self, *, client: ApiClient, feed: WorldFeed, registries: Registries, pull_secrets: Sequence[str], look_at: Callable[[Iterable[Item]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._client = client
        self._feed = feed
        self._registries = registries
        self._pull_secrets = tuple(pull_secrets)
        self._look_at = look_at
        self._clock = clock
        self._kept: dict[Item, _Kept] = {}

    async def settle(self, item: Item) -> float | None:
        """Look at a release or at evidence; return in how many seconds to look again. Raises `ApiError`."""
        return await (self._release(item) if item.kind == RELEASES.kind else self._evidence(item))

    def condition(self, key: Key, release: Release, moment: Moment) -> Condition | None:
        """The condition of a release; None when no registry of its artifacts is listed. After a restart what was said before stands until the next look."""
        if not self._places(release):
            return None
        kept = self._kept.get(Item(RELEASES.kind, key))
        if kept is not None:
            return kept.looked.condition(CONDITION, moment)
        before = next((item for item in moment.previous.get("conditions") or () if item.get("type") == CONDITION), None)
        return None if before is None else Condition.model_validate(before)

    def reasons(self) -> list[DiscoveryReason]:
        """What came of the last look at each release and each piece of evidence that names its bundle. Called by a scrape, in another thread."""
        return [kept.looked.reason for kept in tuple(self._kept.values())]

    # Releases: what refers to their artifacts

    async def _release(self, item: Item) -> float | None:
        stored, release = self._feed.store(RELEASES.kind).get(item.key), self._feed.world.releases.get(item.key)
        places = self._places(release) if isinstance(release, Release) else {}
        if stored is None or not places:
            self._kept.pop(item, None)
            return None
        if (wait := self._wait(item, stored)) is not None:
            return wait
        before = self._kept.get(item)
        looked = await self._look(stored, places)
        pause = self._keep(item, stored, looked)
        if before is None or before.looked != looked:
            log.info("release %s: %s", item.key, looked.message)
            self._look_at([item])
        return pause

    def _places(self, release: Release) -> dict[Reference, str]:
        """Where artifacts of a release are that evidence may refer to, each with the name of the artifact."""
        read = ((Reference.parse(artifact.uri or ""), artifact.name) for artifact in release.spec.artifacts)
        known = {reference: name for reference, name in read if reference is not None and self._registries.listed(reference) is not None}
        return dict(list(known.items())[:MOST_PLACES])

    async def _look(self, release: Object, places: dict[Reference, str]) -> Looked:
        """Look at every place, and make an object of each bundle that refers to it."""
        counts: list[str] = []
        problems: list[tuple[DiscoveryReason, str]] = []
        found: dict[Reference, None] = {}
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                for place, name in places.items():
                    try:
                        referrers = await self._referrers(release["metadata"]["namespace"], place)
                    except NotFetched as error:
                        problems.append((error.reason, f"{name}: {error}"))
                        continue
                    counts.append(f"{len(referrers.found)} for {name} at {place.host}/{place.repository}")
                    found |= dict.fromkeys(referrers.found)
                    if referrers.more:
                        problems.append((DiscoveryReason.TooMany, f"{name}: there are more, which are not looked at"))
        except TimeoutError:
            problems.append((DiscoveryReason.RegistryUnreachable, f"not everything was looked at within {LOOK_SECONDS:g} s"))
        if len(found) > MOST_FOUND:
            problems.append((DiscoveryReason.TooMany, f"{len(found)} bundles refer to the release; {MOST_FOUND} are taken"))
        for reference in list(found)[:MOST_FOUND]:
            taken = await self._make(evidence_for(release, reference))
            if taken:
                problems.append((DiscoveryReason.NameTaken, taken))
        reason = problems[0][0] if problems else DiscoveryReason.EvidenceFound if found else DiscoveryReason.NothingFound
        said = f"found bundles: {', '.join(counts)}" if counts else "nothing could be looked at"
        return Looked(found=bool(found), reason=reason, message="; ".join([said, *(text for _, text in problems)]))

    async def _referrers(self, namespace: str, place: Reference) -> Referrers:
        return await list_bundles(await self._repository(namespace, place), place)

    # Evidence that names its bundle by reference

    async def _evidence(self, item: Item) -> float | None:
        stored = self._feed.store(EVIDENCE.kind).get(item.key)
        reference = reference_of(stored) if stored is not None else None
        if stored is None or reference is None:
            self._kept.pop(item, None)
            return None
        content = self._feed.store(EVIDENCE.kind).get(Key(namespace=item.key.namespace, name=content_name(stored)))
        if content is not None and _is_owned_by(content, stored) and (stored.get("status") or {}).get("storedAs"):
            return None
        if (wait := self._wait(item, stored)) is not None:
            return wait
        try:
            bundle = await fetch_bundle(await self._repository(item.key.namespace, reference), reference)
            taken = await self._make(content_for(stored, bundle))
            if taken:
                raise NotFetched(DiscoveryReason.NameTaken, taken)
        except NotFetched as error:
            looked, digest = Looked(found=False, reason=error.reason, message=str(error)), None
        else:
            looked = Looked(found=True, reason=DiscoveryReason.Fetched, message=f"its bytes are in ReleaseEvidence {content_name(stored)}")
            digest = "sha256:" + hashlib.sha256(bundle).hexdigest()
        await write_status(self._client, EVIDENCE, stored, lambda moment: _status(stored, looked, digest, moment))
        pause = self._keep(item, stored, looked)
        return None if looked.found else pause

    # Both

    async def _repository(self, namespace: str, reference: Reference) -> Repository:
        if self._registries.listed(reference) is None:
            # Nobody reads a Secret for a registry that is asked nothing.
            return self._registries.repository(reference, None)
        account = await credentials_for(self._client, namespace, reference.host, names=self._pull_secrets)
        return self._registries.repository(reference, account)

    async def _make(self, wanted: Object) -> str:
        """Make an object of ours, unless it is there. Says what is wrong when the name is somebody else's, or the API server does not take it."""
        metadata = wanted["metadata"]
        there = self._feed.store(EVIDENCE.kind).get(Key(namespace=metadata["namespace"], name=metadata["name"]))
        if there is None:
            try:
                await self._client.create(EVIDENCE, wanted, metadata["namespace"])
            except Conflict:
                there = await self._client.get(EVIDENCE.path(metadata["namespace"], metadata["name"]))
            except Invalid as error:
                return f"the API server does not take ReleaseEvidence {metadata['name']}: {error.message[:300]}"
            else:
                log.info("evidence %s/%s: made", metadata["namespace"], metadata["name"])
                return ""
        if there["spec"].get("bundle") != wanted["spec"]["bundle"]:
            return f"there is a ReleaseEvidence {metadata['name']} with another bundle: delete it"
        return ""

    def _wait(self, item: Item, stored: Object) -> float | None:
        """Seconds until the next look at this very object is due; None when it is now."""
        kept = self._kept.get(item)
        left = kept.due - self._clock() if kept is not None and kept.uid == stored["metadata"]["uid"] else 0.0
        return left if left > 0 else None

    def _keep(self, item: Item, stored: Object, looked: Looked) -> float:
        before, uid = self._kept.get(item), stored["metadata"]["uid"]
        same = before is not None and before.uid == uid and before.looked == looked
        pause = before.pause if before is not None and same else PAUSES_SECONDS[0]
        kept = _Kept(uid=uid, looked=looked, due=self._clock() + pause, pause=min(2 * pause, PAUSES_SECONDS[1]))
        self._kept[item] = kept
        return pause


def reference_of(evidence: Object) -> Reference | None:
    """What the evidence names by reference; None when it holds its bundle itself, or cannot be read."""
    bundle = (evidence.get("spec") or {}).get("bundle")
    named = bundle.get("oci") if isinstance(bundle, dict) else None
    return Reference.parse(named) if isinstance(named, str) else None


def evidence_for(release: Object, reference: Reference) -> Object:
    """The object for a bundle that refers to a release. Its name follows from both, so that two looks make one; each release has its own."""
    metadata = release["metadata"]
    mark = hashlib.sha256(f"{metadata['uid']}/{reference}".encode()).hexdigest()[:12]
    labels = {FOUND_FOR_LABEL: metadata["name"]} if len(metadata["name"]) <= _LABEL_LENGTH else {}
    name = f"{_cut(metadata['name'])}-{mark}"
    return _object(metadata["namespace"], name, labels, _owner(RELEASES.api_version, RELEASES.kind, metadata), {"bundle": {"oci": str(reference)}})


def content_name(evidence: Object) -> str:
    """What the object is called that holds the bytes of `evidence`."""
    return f"{_cut(evidence['metadata']['name'])}-content"


def content_for(evidence: Object, bundle: bytes) -> Object:
    """The object that holds the bytes, with the raw files that go with them."""
    metadata = evidence["metadata"]
    spec: Object = {"bundle": {"inline": base64.b64encode(bundle).decode("ascii")}}
    if evidence["spec"].get("attachments"):
        spec["attachments"] = evidence["spec"]["attachments"]
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name == FOUND_FOR_LABEL}
    return _object(metadata["namespace"], content_name(evidence), labels, _owner(EVIDENCE.api_version, EVIDENCE.kind, metadata), spec)


def _status(evidence: Object, looked: Looked, digest: str | None, moment: Moment) -> Object:
    stored_as = NameRef(name=content_name(evidence)) if looked.found else None
    conditions = [looked.condition(FETCHED, moment)]
    return wire(EvidenceStatus(observed_generation=moment.generation, bundle_digest=digest, stored_as=stored_as, conditions=conditions))


def _object(namespace: str, name: str, labels: dict[str, str], owner: Object, spec: Object) -> Object:
    metadata = {"namespace": namespace, "name": name, "labels": labels, "ownerReferences": [owner]}
    return {"apiVersion": EVIDENCE.api_version, "kind": EVIDENCE.kind, "metadata": metadata, "spec": spec}


def _owner(api_version: str, kind: str, metadata: Object) -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}


def _is_owned_by(obj: Object, owner: Object) -> bool:
    return any(reference.get("uid") == owner["metadata"]["uid"] for reference in obj["metadata"].get("ownerReferences") or ())


def _cut(name: str) -> str:
    return name[:_NAME_LENGTH].rstrip("-.")
