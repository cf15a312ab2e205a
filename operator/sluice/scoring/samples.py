"""Every answer, for audit: one JSON line a unit, in rank order, outside of the cluster's own storage.

Answers hold what users and models write, so by default a line has digests of them: enough to tell whether two answers were the same, and whether a text that
somebody shows is the one that was scored. Scores, failures and what gates found are told as they are; a gate never repeats a secret.

A sink takes lines and gives a digest with a place. `FileSink` writes to a mounted folder; an object store or a registry is another sink.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Pair, Repeat, Reply
from sluice.scoring.tally import BASELINE, CANDIDATE, Samples

SAMPLES_BYTES: Final = 16 << 20
"""Of one shard in a cluster."""
RUN_BYTES: Final = 4 * SAMPLES_BYTES
"""Of all shards together: what one controller holds in memory for a run, and what is fetched again to look at it."""
TEXT_LENGTH: Final = 16_384
"""Characters of an answer that are kept, where answers are kept at all."""


log: Final = logging.getLogger(__name__)


class Keep(StrEnum):
    """What of an answer goes into the samples."""

    DIGESTS = "digests"
    TEXTS = "texts"


class Sink(Protocol):
    """Where samples go."""

    def write(self, line: bytes) -> None:
        """Take one line, without its end. Raises OSError."""

    def finish(self) -> Samples:
        """Close and tell where everything is. Raises OSError."""

    def so_far(self) -> BinaryIO:
        """Open what holds all lines taken so far; the caller closes it. Raises OSError."""


class FileSink:
    """A file that appears under its name only when it is complete. Lines beyond `limit` bytes are left out, and said to be."""

    def __init__(self, path: Path, *, limit: int | None = None) -> None:
        self._path = path
        self._left = limit
        self._missing = 0
        self._partial = path.with_name(path.name + ".partial")
        self._digest = hashlib.sha256()
        self._file = self._partial.open("wb")

    def write(self, line: bytes) -> None:
        """Take one line."""
        if self._left is not None:
            self._left -= len(line) + 1
            if self._left < 0:
                self._missing += 1
                return
        self._digest.update(line + b"\n")
        self._file.write(line + b"\n")

    def finish(self) -> Samples:
        """Make it durable and give it its name."""
        if self._missing:
            log.warning("%s is full: %d lines are left out", self._path, self._missing)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        return Samples(digest="sha256:" + self._digest.hexdigest(), uri=self._path.absolute().as_uri())

    def so_far(self) -> BinaryIO:
        """Open the file under the name that it has at this moment: another thread may be giving it its last one."""
        with suppress(ValueError):
            # Closed, and so everything is in it.
            self._file.flush()
        try:
            return self._partial.open("rb")
        except FileNotFoundError:
            return self._path.open("rb")


def sample_line(rank: int, case: Case, repeats: Sequence[Repeat], pairs: Sequence[Pair], *, keep: Keep) -> bytes:
    """Write what one unit was asked, answered and scored."""
    asked = [
        {
            CANDIDATE: _reply(repeat.candidate, keep),
            BASELINE: _reply(repeat.baseline, keep),
            "differences": {name: str(difference) for name, difference in pair.differences.items()},
            "hits": {name: [{"where": hit.where, "what": hit.what} for hit in hits] for name, hits in pair.hits.items() if hits},
        }
        for repeat, pair in zip(repeats, pairs, strict=True)
    ]
    return _ascii({"rank": rank, "case": case.id, "repeats": asked})


def _reply(reply: Reply, keep: Keep) -> dict[str, Any]:
    answer = reply.answer
    if isinstance(answer, NoAnswer):
        return {"failure": str(answer.failure), "message": answer.message, "retries": reply.retries}
    told: dict[str, Any] = {"digest": answer_digest(answer), "seconds": answer.latency_seconds, "retries": reply.retries}
    if keep is Keep.TEXTS:
        told["text"] = answer.text[:TEXT_LENGTH]
        told["toolCalls"] = [{"name": call.name, "raw": call.raw[:TEXT_LENGTH]} for call in answer.tool_calls]
    return told


def answer_digest(answer: Answer) -> str:
    """SHA-256 over what the model said, and no times: JSON with sorted members, everything beyond ASCII escaped."""
    said = {
        "turns": [*answer.turns] or [answer.text],
        "toolCalls": [[call.name, call.raw] for call in answer.tool_calls],
        "tensors": {name: [tensor.datatype, [*tensor.shape], [*tensor.data]] for name, tensor in answer.tensors.items()},
        "embedding": [*answer.embedding],
    }
    return "sha256:" + hashlib.sha256(_ascii(said)).hexdigest()


def _ascii(value: object) -> bytes:
    # Escaped, because a model may write half of a surrogate pair, which has no UTF-8 form.
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
