"""What a judge is asked with."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.scoring.protocols.settings import ProtocolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """Who judges, by what, and how long one reply may take."""

    protocol: ProtocolSettings
    rubric: str
    timeout_seconds: float
