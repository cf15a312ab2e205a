"""Scorers that somebody else runs: a container beside the scorer, or a language model as judge.

Both are named by digest, in the namespace of the release: a suite must not aim a call at anything that policy has not let in.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sluice.api.auth import Auth
from sluice.api.base import SHA256, Duration, Line, Model, Name, Sha256


class ContainerScorer(Model):
    """A container of one's own that scores one answer at a time, by the contract of docs/scorer-contract.md."""

    image: Annotated[str, StringConstraints(pattern=rf"^[^@\s]+@{SHA256}$", max_length=1024)]
    """Its image, by digest."""
    args: Annotated[list[Annotated[str, StringConstraints(max_length=1024)]], Field(max_length=32)] = []
    """Arguments of its entry point."""
    memory: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}(Mi|Gi)$", max_length=7)] = "512Mi"
    """How much memory it may have."""


class JudgeScorer(Model):
    """A language model that compares two answers, itself a release that serves in the same namespace."""

    release: Name
    """The ModelRelease whose Pods are asked."""
    release_digest: Sha256
    """Its release digest: another judge is another suite."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of its Pods, which speak OpenAI chat completions."""
    model: Line
    """Name of the model, as its server knows it."""
    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=512)] | None = None
    """Where the API begins. Absent: /v1."""
    rubric: Annotated[str, StringConstraints(min_length=1, max_length=8000)]
    """What makes an answer better, in words for the judge."""
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 256
    """Longest reply, in tokens."""
    timeout: Duration = "60s"
    """A reply that is not complete by then is none."""
    auth: Auth | None = None
    """How it is asked."""
