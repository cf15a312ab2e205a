"""Reads what scorer Pods have counted: `GET /v1/statistics`, as `docs/design/0005` gives it.

Only Pods of the Job itself are asked, and their answers are bounded in bytes and time. What they mean is checked against the plan elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Self

import aiohttp

from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL
from sluice.cluster.client import Object
from sluice.rollout.canary_pods import Role, is_owned_by
from sluice.rollout.scoring_job import STATISTICS_PORT
from sluice.scoring.wire import STATISTICS_BYTES

ANSWER_SECONDS: Final = 3.0
SAMPLES_SECONDS: Final = 15.0
_AT_ONCE: Final = 8
_INDEX: Final = "batch.kubernetes.io/job-completion-index"

log: Final = logging.getLogger(__name__)


def scorers_of(run: Object, job: Object, pods: Iterable[Object]) -> dict[int, Object]:
    """Find the running scorer Pods by shard. The labels are guarded by the API server, the owner is this very Job."""
    found = {}
    for pod in pods:
        labels, status = pod["metadata"].get("labels") or {}, pod.get("status") or {}
        ours = labels.get(CANARY_LABEL) == run["metadata"]["name"] and labels.get(CANARY_ROLE_LABEL) == Role.SCORER and is_owned_by(pod, job)
        index = str(labels.get(_INDEX, ""))
        if ours and index.isdecimal() and status.get("phase") == "Running" and status.get("podIP") and "deletionTimestamp" not in pod["metadata"]:
            found[int(index)] = pod
    return found


class StatisticsClient:
    """Asks scorers. An async context manager that belongs to the event loop it was entered in.

    `on_failure` hears of each one that says nothing: `Status` (it answers, with an HTTP error) or `Unreachable`.
    """

    def __init__(self, *, port: int = STATISTICS_PORT, on_failure: Callable[[str], None] = lambda _: None) -> None:
        self._port = port
        self._on_failure = on_failure
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def read(self, scorers: Mapping[int, Object]) -> dict[int, bytes]:
        """Ask each scorer once; return what those say that answer. Raises nothing: who does not answer is asked again at the next look."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(shard: int, pod: Object) -> tuple[int, bytes] | None:
            async with limit:
                return await self._one(shard, pod)

        answers = await asyncio.gather(*(one(shard, pod) for shard, pod in scorers.items()))
        return dict(answer for answer in answers if answer is not None)

    async def samples(self, pod: Object, *, token: str, limit: int) -> bytes | None:
        """Read what one scorer has kept of single answers; None when it gives nothing, or more than `limit` bytes."""
        content = await self._get(pod, "/v1/samples", headers={"Authorization": f"Bearer {token}"}, limit=limit, seconds=SAMPLES_SECONDS)
        return content if content is not None and len(content) <= limit else None

    async def _one(self, shard: int, pod: Object) -> tuple[int, bytes] | None:
        # One byte too many is enough for the reader to refuse it.
        content = await self._get(pod, "/v1/statistics", headers={}, limit=STATISTICS_BYTES, seconds=ANSWER_SECONDS)
        return None if content is None else (shard, content)

    async def _get(self, pod: Object, path: str, *, headers: Mapping[str, str], limit: int, seconds: float) -> bytes | None:
        """What a scorer answers, as long as that is not more than a byte above `limit`."""
        if self._session is None:
            raise RuntimeError("StatisticsClient is used outside its `async with`")
        address = pod["status"]["podIP"]
        host = f"[{address}]" if ":" in address else address
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with self._session.get(f"http://{host}:{self._port}{path}", headers=headers, timeout=timeout, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004 - HTTP OK
                    log.info("scorer %s answers %d", name, response.status)
                    self._on_failure("Status")
                    return None
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > limit:
                        break
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("scorer %s does not answer: %s: %.200s", name, type(error).__name__, error)
            self._on_failure("Unreachable")
            return None
        return bytes(content[: limit + 1])
