"""Conditions and statuses as the API server stores them, and when a status is worth writing.

Same inputs, same bytes: the only time in a status is when a condition changed, and it is kept while the condition does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice.api.base import Condition, ConditionStatus, Model
from sluice.cluster.client import Object

MESSAGE_LIMIT: Final = 4096
REASON_LIMIT: Final = 64
_KEYS: Final = ("type", "policy", "name", "digest")
"""What identifies an item in a list of a status; the order of such lists means nothing."""


def cut(text: str, limit: int) -> str:
    """Shorten a text to what the field takes, visibly."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a status is made, of which generation, and what the status was until now (raw, as stored)."""

    previous: Mapping[str, Any]
    generation: int
    now: datetime

    def condition(self, type_: str, status: bool, reason: str, message: str) -> Condition:  # noqa: FBT001 - reads like the condition
        """Make a condition; its transition time changes with its status only."""
        value = ConditionStatus.TRUE if status else ConditionStatus.FALSE
        before: Mapping[str, Any] = next((item for item in self.previous.get("conditions") or () if item.get("type") == type_), {})
        since = before.get("lastTransitionTime") if before.get("status") == value else None
        return Condition(
            type=type_,
            status=value,
            reason=cut(reason, REASON_LIMIT),
            message=cut(message, MESSAGE_LIMIT),
            observed_generation=self.generation,
            last_transition_time=since or self.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


def wire(status: Model) -> Object:
    """Write a status as it goes to the API server: what says nothing is left out."""
    fields: Object = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: _without_empty(value) for name, value in fields.items() if value not in ([], {})}


def differs(desired: Object, stored: object) -> bool:
    """Tell whether a stored status says something else than the desired one."""
    return bool(_unordered(desired) != _unordered(stored or {}))


def _without_empty(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _without_empty(item) for name, item in value.items() if item not in ([], {})}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _unordered(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _unordered(item) for name, item in value.items()}
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return sorted((_unordered(item) for item in value), key=lambda item: [str(item.get(key, "")) for key in _KEYS])
    return value
