"""From a drill that passed to evidence: the statement, signed, as a `ReleaseEvidence` that outlives the drill.

A process may be killed after the evidence is made and before the status says so: what is there under the name is taken for ours when our own key has signed it
about this very drill.
"""

from __future__ import annotations

import base64
import logging
from datetime import datetime
from decimal import Decimal
from typing import Final

from sluice.api.base import parse_time
from sluice.api.drill import DrillEvidence
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import EVIDENCE, NAMESPACES
from sluice.controller.drill_status import Pins
from sluice.decision.drill_reasons import DrillReason
from sluice.decision.model import Release
from sluice.evidence.drill import PREDICATE_TYPE, RollbackDrill, parse_drill
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
from sluice.rollout.drill import DrillFailed

_UID_LENGTH: Final = 8

log: Final = logging.getLogger(__name__)


async def prove(drill: Object, release: Release, pins: Pins, key: SigningKey, client: ApiClient, *, now: datetime) -> DrillEvidence:
    """Sign what a drill has measured and make the evidence, once. Raises `DrillFailed` when its name is somebody else's, and `ApiError`."""
    metadata, status = drill["metadata"], drill["status"]
    measured = {field: int(Decimal(status["measured"][field]) * 1000) for field in ("restoreSeconds", "outSeconds", "backSeconds")}
    said = RollbackDrill(
        namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"], release=release.name, release_digest=pins.release_digest,
        baseline=pins.baseline, baseline_digest=pins.baseline_digest, deployment=pins.deployment, scratch_namespace=pins.scratch_namespace,
        cluster=await _cluster(client),
        started_at=parse_time(status["startedAt"]), finished_at=now, restore_ms=measured["restoreSeconds"], out_ms=measured["outSeconds"],
        back_ms=measured["backSeconds"],
    )  # fmt: skip
    bundle = key.sign(predicate_type=PREDICATE_TYPE, subjects=subjects_of(release), predicate=said.predicate())
    name = f"{metadata['name']}-{metadata['uid'][:_UID_LENGTH]}"
    content = {
        "apiVersion": EVIDENCE.api_version,
        "kind": EVIDENCE.kind,
        "metadata": {"namespace": metadata["namespace"], "name": name},
        "spec": {"bundle": {"inline": base64.b64encode(bundle).decode("ascii")}},
    }
    try:
        await client.create(EVIDENCE, content, metadata["namespace"])
    except Conflict:
        bundle = _ours(await client.get(EVIDENCE.path(metadata["namespace"], name)), metadata["uid"], key)
    else:
        log.info("drill %s/%s: made evidence %s", metadata["namespace"], metadata["name"], name)
    return DrillEvidence(name=name, bundle_digest=sha256_of(bundle))


def subjects_of(release: Release) -> dict[str, str]:
    """The artifacts of a release, and what carries them, by name: evidence is found by these."""
    named = {artifact.digest: artifact.name for artifact in release.spec.artifacts}
    return {named.get(digest, f"carrier-{number}"): digest for number, digest in enumerate(sorted(release.digests)) if digest.startswith("sha256:")}


async def _cluster(client: ApiClient) -> str:
    return str((await client.get(NAMESPACES.path(name="kube-system")))["metadata"]["uid"])


def _ours(evidence: Object, uid: str, key: SigningKey) -> bytes:
    name = evidence["metadata"]["name"]
    try:
        bundle = base64.b64decode(evidence["spec"]["bundle"]["inline"], validate=True)
        drill = parse_drill(parse_statement(verify_bundle(bundle, TrustAnchors.keys("own", {"own": key.public_pem})).payload))
    except (ProvenanceError, ValueError, KeyError):
        raise DrillFailed(DrillReason.NameTaken, f"there is a ReleaseEvidence {name} already that the controller has not signed: delete it") from None
    if drill.uid != uid:
        raise DrillFailed(DrillReason.NameTaken, f"there is a ReleaseEvidence {name} already, of another drill: delete it")
    return bundle
