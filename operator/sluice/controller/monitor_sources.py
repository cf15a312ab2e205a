"""What a monitor hears: its source is asked for one reading, or for all that it takes to say what is normal.

A query is about one release, over exactly the time that was not taken in yet: however often it is asked, and by whatever process, nothing counts twice, and
after a pause nothing is left out (but what is older than `LONGEST`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from sluice.api.durations import parse_duration
from sluice.api.monitor import Detects, MonitorSpec
from sluice.cluster.client import Object
from sluice.cluster.prometheus import PrometheusClient
from sluice.scoring.drift.histogram import Histogram
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.monitor import Answer, Monitor, MonitorState, Query, Reading, heard_until
from sluice.scoring.prometheus import read, reference
from sluice.scoring.query import filled
from sluice.scoring.watched import scale_of

LONGEST: Final = timedelta(days=1)
"""The most that one query is about. Prometheus reads all of it, and has to answer in seconds."""
_STEPS: Final = 5000
"""Numbers of one series in a reference, at most: fewer than the 11,000 that Prometheus gives, and an answer of them is small enough."""


class Pending(Exception):
    """It is under way: ask again in a moment."""


class Sources(Protocol):
    """Where readings come from. `monitor` is the object as the API server has it."""

    async def reading(self, monitor: Object, watching: Monitor, state: MonitorState, *, now: datetime) -> Reading | None:
        """What there is to take in at `now`; None when nothing was observed.

        Raises PrometheusError and Pending, DriftRefused for what cannot be used, and `ApiError`.
        """
        ...

    async def learn(self, monitor: Object, spec: MonitorSpec, *, release: str, start: datetime, end: datetime) -> MeanReference | Histogram | None:
        """What `release` showed from `start` to `end`; None for next to nothing. Raises as `reading` does."""
        ...


class PrometheusSource:
    """A Prometheus."""

    def __init__(self, client: PrometheusClient) -> None:
        self._client = client

    async def reading(self, monitor: Object, watching: Monitor, state: MonitorState, *, now: datetime) -> Reading | None:
        """See `Sources`."""
        query = watching.source
        if not isinstance(query, Query):
            raise DriftRefused("Prometheus answers queries, and this monitor has none")
        unheard = min(now - heard_until(state), LONGEST)
        release = monitor["spec"]["release"]["name"]
        promql = filled(query.promql, namespace=monitor["metadata"]["namespace"], release=release, period=unheard)
        return read(await self._client.instant(promql, at=now), query, watching.detector)

    async def learn(self, monitor: Object, spec: MonitorSpec, *, release: str, start: datetime, end: datetime) -> MeanReference | Histogram | None:
        """See `Sources`."""
        definition, namespace = spec.monitor, monitor["metadata"]["namespace"]
        if definition.prometheus is None:
            raise DriftRefused("Prometheus answers queries, and this monitor has none")
        asked = definition.prometheus
        query = Query(promql=asked.query, answer=Answer(asked.answer), label=asked.label or "", event=asked.event or "")
        period = parse_duration(definition.period)
        if query.answer is Answer.VALUES:
            promql = filled(query.promql, namespace=namespace, release=release, period=period)
            raw = await self._client.over(promql, start=start, end=end, step=max(period, (end - start) / _STEPS))
        else:
            promql = filled(query.promql, namespace=namespace, release=release, period=end - start)
            raw = await self._client.instant(promql, at=end)
        return reference(raw, query, of_mean=definition.detects is Detects.MEAN, scale=scale_of(definition))
