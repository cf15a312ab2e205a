"""Records of verdicts that allow: made once for each, signed, kept as `ReleaseEvidence` that outlives everything that led to it.

The name follows from what the record says, so a process that forgets, or is killed in between, makes the same again and finds it there. Who may delete
evidence may delete records, too: copy them out (`kubectl get mre -l sluice.dev/record-of`) as you do with audit logs.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice import __version__
from sluice.api.names import RECORD_LABEL
from sluice.cluster.client import ApiClient
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import EVIDENCE, NAMESPACES
from sluice.controller.drill_evidence import subjects_of
from sluice.decision.model import Release, Verdict
from sluice.decision.record import record_of
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.evidence.verdict_record import parse_record
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors

_DIGITS: Final = 16

log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Keeps the record of each verdict that allows. `key` gives the controller's key."""

    client: ApiClient
    key: Callable[[], SigningKey]
    _cluster: str = field(default="", init=False)
    _kept: dict[Key, str] = field(default_factory=dict, init=False)
    """By release, the digest of the record that is there. What is forgotten is looked up again."""

    async def keep(self, key: Key, release: Release, verdict: Verdict, world: World, *, now: datetime) -> None:
        """Make the record of a verdict, unless it is there. Raises `ApiError`."""
        if not self._cluster:
            self._cluster = str((await self.client.get(NAMESPACES.path(name="kube-system")))["metadata"]["uid"])
        record = record_of(release, verdict, world.policies, cluster=self._cluster)
        if record is None or self._kept.get(key) == record.digest:
            return
        name = f"{key.name}-{record.digest.removeprefix('sha256:')[:_DIGITS]}"
        bundle = record.sign(self.key(), artifacts=subjects_of(release), version=__version__, now=now)
        content = {
            "apiVersion": EVIDENCE.api_version,
            "kind": EVIDENCE.kind,
            "metadata": {"namespace": key.namespace, "name": name, "labels": {RECORD_LABEL: key.name}},
            "spec": {"bundle": {"inline": base64.b64encode(bundle).decode("ascii")}},
        }
        try:
            await self.client.create(EVIDENCE, content, key.namespace)
        except Conflict:
            if not self._is_ours(await self.client.get(EVIDENCE.path(key.namespace, name)), record.digest):
                log.warning("release %s: its verdict cannot be recorded: ReleaseEvidence %s is there, and not signed by the controller; delete it", key, name)
                return
        else:
            log.info("release %s: recorded as ReleaseEvidence %s", key, name)
        self._kept[key] = record.digest

    def _is_ours(self, evidence: dict[str, object], digest: str) -> bool:
        """Whether this is the record that was to be made, signed with the present key."""
        own = TrustAnchors.keys("own", {"own": self.key().public_pem})
        try:
            bundle = base64.b64decode(evidence["spec"]["bundle"]["inline"], validate=True)  # type: ignore[index]
            record, _ = parse_record(parse_statement(verify_bundle(bundle, own).payload))
        except (ProvenanceError, ValueError, KeyError, TypeError):
            return False
        return record.digest == digest
