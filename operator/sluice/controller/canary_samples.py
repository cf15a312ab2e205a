"""What every answer of a run was, kept beyond the run: fetched from the scorers once it has decided, and put where the installation says.

Scorers live beside tenants, so they have no credentials and no way out; the controller fetches, with the token of the plan, and uploads. Only after a decision
is written, and for a bounded time: an upload that fails never changes a decision, nor delays one. Then the run has no samples, and an event says why.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from sluice.api.canary import SamplesStatus
from sluice.api.names import CANARY_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.events import EventRecorder
from sluice.cluster.resource import CANARY_RUNS, JOBS, PODS
from sluice.controller.canary_inputs import end_token
from sluice.controller.conditions import Moment
from sluice.controller.samples_places import NotKept, Place
from sluice.controller.writing import write_status
from sluice.decision.records import Key
from sluice.rollout.owned import found, typed
from sluice.rollout.scoring_job import job_name
from sluice.rollout.statistics_client import StatisticsClient, scorers_of
from sluice.scoring.samples import RUN_BYTES, SAMPLES_BYTES

ATTEMPTS: Final = 3
FETCH_SECONDS: Final = 30.0
"""For all shards together: so long may what is left of a run stay for its samples."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    content: bytes
    shards: int


class SampleKeeper:
    """Keeps the samples of runs that have decided. `place` None: nobody said where, and there are none."""

    def __init__(self, *, client: ApiClient, scorers: StatisticsClient, events: EventRecorder, place: Place | None) -> None:
        self._client = client
        self._scorers = scorers
        self._events = events
        self._place = place
        self._attempts: dict[str, int] = {}

    async def keep(self, run: Object) -> bool:
        """Fetch and upload, unless that is done; return whether it is over, for better or worse. Raises `ApiError` for what is not about samples."""
        uid = run["metadata"]["uid"]
        if self._place is None or (run.get("status") or {}).get("samples") or self._attempts.get(uid, 0) >= ATTEMPTS:
            return True
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                kept = await self._fetched(run)
        except TimeoutError:
            log.warning("canary run %s: its samples are not kept: the scorers did not give them within %.0f s", Key.of(run), FETCH_SECONDS)
            kept = None
        if kept is None:
            # Nobody scored, or the scorers are gone: there is nothing to wait for.
            self._attempts[uid] = ATTEMPTS
            return True
        self._attempts[uid] = self._attempts.get(uid, 0) + 1
        try:
            uri = await self._place.put(kept.content, run=str(Key.of(run)), shards=kept.shards)
        except NotKept as error:
            log.warning("canary run %s: its samples are not kept, attempt %d of %d: %s", Key.of(run), self._attempts[uid], ATTEMPTS, error)
            if self._attempts[uid] < ATTEMPTS:
                return False
            note = f"what every answer was is not kept: {error}"
            await self._events.record(run, type_="Warning", reason="SamplesNotKept", action="KeepSamples", note=note)
            return True
        samples = SamplesStatus(digest="sha256:" + hashlib.sha256(kept.content).hexdigest(), uri=uri)
        await write_status(self._client, CANARY_RUNS, run, lambda moment: _with(samples, moment))
        return True

    def forget(self, run: Object) -> None:
        """The run is over."""
        self._attempts.pop(run["metadata"]["uid"], None)

    async def _fetched(self, run: Object) -> _Kept | None:
        namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
        job = await found(self._client, JOBS.path(namespace, job_name(run)))
        if job is None:
            return None
        pods = [typed(pod, PODS) for pod in await self._client.list(PODS, namespace, label_selector=f"{CANARY_LABEL}={name}")]
        parts = []
        left = RUN_BYTES
        for _, pod in sorted(scorers_of(run, job, pods).items()):
            part = await self._scorers.samples(pod, token=end_token(run), limit=min(SAMPLES_BYTES, left))
            if part is not None:
                # A scorer that was still writing may have shown half a line at its end.
                whole = part[: part.rfind(b"\n") + 1]
                parts.append(whole)
                left -= len(whole)
        if not any(parts):
            return None
        return _Kept(content=b"".join(parts), shards=len(parts))


def _with(samples: SamplesStatus, moment: Moment) -> Object | None:
    if moment.previous.get("samples") or not moment.previous:
        return None
    return {**moment.previous, "samples": samples.model_dump(mode="json", by_alias=True)}
