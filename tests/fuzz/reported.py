"""What programs of others report: raw results of evaluation tools, recordings, pushed samples, statistics of scorers, and answers of registries.

Each reader is asked without what stands around it: a signature takes longer than the reading, and who verifies one turns every exception into a refusal, so
that a careless reader would not be seen.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from sluice.cluster.fetching import Answer, NotFetched, Repository
from sluice.cluster.outbound import Reference
from sluice.cluster.referrers import fetch_bundle, list_bundles
from sluice.cluster.registry_login import parse_docker_configuration
from sluice.evidence.harness.raw import read_raw
from sluice.provenance.errors import ProvenanceError
from sluice.scoring.collecting.events import PushRefused, read_push
from sluice.scoring.collecting.sample import Draw, Sample
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.template import Pointer
from sluice.scoring.replay.capture import CaptureRefused, Wanted, capture
from sluice.scoring.replay.exchange import Rules
from sluice.scoring.replay.pairs import PairsRefused, read_pairs
from sluice.scoring.replay.recording import Lines, RecordingRefused, read_recording
from sluice.scoring.replay.redaction import Redactor
from sluice.scoring.wire import Expected, StatisticsRefused, read_statistics
from tests.unit.scoring.sides import METRICS

_DIGEST = "sha256:" + "a" * 64
_NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
_INDEX = "application/vnd.oci.image.index.v1+json"
_RULES = tuple(
    Rules(protocol=ProtocolSettings(type=kind, model="churn"), limits=Limits(timeout_seconds=2), metrics=METRICS)
    for kind in (ProtocolType.OPENAI_COMPLETIONS, ProtocolType.OPENAI_CHAT, ProtocolType.OPEN_INFERENCE)
)
_EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "x.request", "ce-time": "2026-11-21T12:00:00Z"}
_PUSHES: tuple[dict[str, str], ...] = (
    {},
    {"Content-Type": "application/cloudevents+json"},
    {"Content-Type": "application/cloudevents-batch+json"},
    _EVENT,
    _EVENT | {"ce-type": "x.response"},
)
_EXPECTED = Expected(plan=_DIGEST, shard=0, stretches=(5, 3), metrics=("accuracy", "noise:accuracy"), gates=("exfiltration",))
_REDACTOR = Redactor(bytes(range(32)))
_WANTED = Wanted(cases=16, seed=1, slices={"region": Pointer.parse("/metadata/region")}, stratify="region", tags=["safe"])


def raw_results(raw: bytes) -> None:
    """Any file as the raw output of a harness."""
    with suppress(ProvenanceError):
        read_raw("results.json", raw)


def pairs(raw: bytes) -> None:
    """Any file as recorded pairs, whatever protocol the suite has."""
    for rules in _RULES:
        with suppress(PairsRefused):
            read_pairs(raw, rules)


def recording(raw: bytes) -> None:
    """Any file as recorded traffic: what can be read of it is drawn and redacted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.jsonl"
        path.write_bytes(raw)
        # Refused: what has no line with the slice to draw by.
        with suppress(RecordingRefused, CaptureRefused), Lines([path]) as lines:
            read = read_recording([path], seed=_WANTED.seed, slices=_WANTED.slices, stratify=_WANTED.stratify)
            capture(read, lines.of, _REDACTOR, _WANTED, check=lambda _case: None, key_is_kept=False)


def push(raw: bytes) -> None:
    """Any body as a sample of live answers, with each kind of header; what is read is kept, and can be fetched."""
    sample = Sample(Draw(salt=b"s", per_second=10_000), now=_NOON)
    for headers in _PUSHES:
        with suppress(PushRefused):
            for pushed in read_push(headers, raw):
                sample.take(pushed, now=_NOON)
    list(sample.since(_NOON))


def statistics(raw: bytes) -> None:
    """Any answer of a scorer as its statistics."""
    with suppress(StatisticsRefused):
        read_statistics(raw, _EXPECTED)


class _Registry(Repository):
    """Says the same to whatever it is asked."""

    def __init__(self, says: bytes) -> None:  # it has no connection to open
        self._says = says

    async def document(self, path: str, *, limit: int, accept: str) -> Answer | None:
        assert path
        assert accept
        return Answer(body=self._says[:limit], media_type=_INDEX)

    async def manifest(self, digest: str, *, limit: int, accept: str) -> bytes:
        assert digest
        assert accept
        return self._says[:limit]

    async def blob(self, digest: str, *, limit: int) -> bytes:
        assert digest
        return self._says[:limit]


def registry(raw: bytes) -> None:
    """Any answer of a registry as a list of referrers and as a manifest, and any secret as the accounts for it."""
    subject = Reference(host="registry.example.com", repository="models/churn", digest=_DIGEST)

    async def asked() -> None:
        for ask in (list_bundles, fetch_bundle):
            with suppress(NotFetched):
                await ask(_Registry(raw), subject)

    asyncio.run(asked())
    with suppress(ValueError):
        parse_docker_configuration(raw)


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {"pairs": pairs, "push": push, "raw-results": raw_results, "recording": recording, "registry": registry, "statistics": statistics}
)
