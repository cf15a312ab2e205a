"""Security changes: in what a release holds more, or is held back less, than its baseline. One function for each.

Each compares two specs and says in words what differs. Without a baseline each holds the release against one that was allowed as little as can be:
whatever could be more than some baseline's is. So a baseline that is left out, or deleted, never makes the list shorter
(`tests/property/test_changes.py`).

Lists are compared by the name that policy and cluster know: of two entries of one name, which only a file can have, the wider counts for the release and
the narrower for the baseline. What is not limited – no service account, no context window, no lifetime – is the widest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from sluice.api.durations import parse_duration
from sluice.api.release import Authority, ChangeType, Egress, ReleaseSpec, SecretAuthority, ToolEffect, Vendor
from sluice.api.trigger import SecurityChange

_EFFECTS: Final = tuple(ToolEffect)
_UNLIMITED: Final = timedelta.max
_NOTHING: Final = Authority()
_ALONE: Final = "there is no baseline to hold it against"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference."""

    kind: SecurityChange
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What is compared: a release, and its baseline when there is one that counts."""

    release: ReleaseSpec
    baseline: ReleaseSpec | None

    @property
    def new(self) -> Authority:
        """What the release may touch."""
        return self.release.authority or _NOTHING

    @property
    def old(self) -> Authority | None:
        """What the baseline may touch; None without one."""
        return None if self.baseline is None else self.baseline.authority or _NOTHING


def changes_between(release: ReleaseSpec, baseline: ReleaseSpec | None) -> tuple[Change, ...]:
    """Return every difference that can be read from two releases. What evaluations say is compared in `refusals`."""
    pair = Pair(release=release, baseline=baseline)
    return tuple(dict.fromkeys(Change(kind=kind, detail=detail) for kind, compare in COMPARISONS.items() for detail in compare(pair)))


def _first_release(pair: Pair) -> Iterator[str]:
    if pair.baseline is None:
        yield _ALONE


def _tool_added(pair: Pair) -> Iterator[str]:
    known = {tool.name for tool in (pair.old or _NOTHING).tools}
    for tool in pair.new.tools:
        if tool.name not in known:
            yield f"tool {tool.name} is new, effect {tool.effect}"


def _tool_effect_widened(pair: Pair) -> Iterator[str]:
    for tool in pair.new.tools:
        before = _EFFECTS[0]
        if pair.old is not None:
            effects = [old.effect for old in pair.old.tools if old.name == tool.name]
            # A tool that is new has no effect to widen.
            before = min(effects, key=_EFFECTS.index, default=_EFFECTS[-1])
        if _EFFECTS.index(tool.effect) > _EFFECTS.index(before):
            yield f"tool {tool.name}: effect {before} → {tool.effect}" if pair.old is not None else f"tool {tool.name} has effect {tool.effect}; {_ALONE}"


def _data_class_added(pair: Pair) -> Iterator[str]:
    known = set((pair.old or _NOTHING).data_classes)
    for name in pair.new.data_classes:
        if name not in known:
            yield f"data class {name} is new"


def _secret_added(pair: Pair) -> Iterator[str]:
    known = {secret.name for secret in (pair.old or _NOTHING).secrets}
    for secret in pair.new.secrets:
        if secret.name not in known:
            yield f"secret {secret.name} is new"


def _secret_lifetime_grown(pair: Pair) -> Iterator[str]:
    for secret in pair.new.secrets:
        if pair.old is None:
            yield f"secret {secret.name} may live {secret.max_lifetime or 'for ever'}; {_ALONE}"
            continue
        before = min((old for old in pair.old.secrets if old.name == secret.name), key=_lifetime, default=None)
        if before is not None and _lifetime(secret) > _lifetime(before):
            yield f"secret {secret.name}: longest lifetime {before.max_lifetime} → {secret.max_lifetime or 'not limited'}"


def _lifetime(secret: SecretAuthority) -> timedelta:
    return _UNLIMITED if secret.max_lifetime is None else parse_duration(secret.max_lifetime)


def _service_account_changed(pair: Pair) -> Iterator[str]:
    account = pair.new.service_account
    if pair.old is None:
        yield f"service account {account or 'is any'}; {_ALONE}"
    elif account != pair.old.service_account:
        yield f"service account {pair.old.service_account or 'any'} → {account or 'any'}"


def _permission_added(pair: Pair) -> Iterator[str]:
    known = {one for permission in (pair.old or _NOTHING).permissions or () for one in permission.single()}
    for permission in pair.new.permissions or ():
        for one in permission.single():
            if known.isdisjoint(one.within()):
                yield f"permission {one} is new"


def _token_lifetime_grown(pair: Pair) -> Iterator[str]:
    lifetime, before = pair.new.token_lifetime, (pair.old or _NOTHING).token_lifetime
    # Without a lifetime no token is mounted, which is the shortest.
    if lifetime is not None and (before is None or parse_duration(lifetime) > parse_duration(before)):
        yield f"tokens may live {lifetime}; {_ALONE}" if pair.old is None else f"longest lifetime of tokens {before or 'none'} → {lifetime}"


def _egress_widened(pair: Pair) -> Iterator[str]:
    known = {at for egress in (pair.old or _NOTHING).egress for at, _ in _reached(egress)}
    for egress in pair.new.egress:
        for at, words in _reached(egress):
            if at not in known:
                yield words


def _reached(egress: Egress) -> Iterator[tuple[tuple[str, int, str], str]]:
    """Give all that a destination stands for, each with words for it: the host, and where policies of the network may let it lead."""
    host, port = egress.host.casefold(), egress.port
    yield (host, port, ""), f"destination {egress.host}:{port} is new"
    for address in egress.addresses or ():
        yield (host, port, address), f"destination {egress.host}:{port} may be {address}"
    if egress.namespace is not None:
        yield (host, port, f"namespace {egress.namespace}"), f"destination {egress.host}:{port} may be in namespace {egress.namespace}"


def _context_window_grown(pair: Pair) -> Iterator[str]:
    tokens = pair.new.context_window
    if pair.old is None:
        yield f"context window {tokens or 'is not limited'}; {_ALONE}"
    elif pair.old.context_window is not None and (tokens is None or tokens > pair.old.context_window):
        yield f"context window {pair.old.context_window} → {tokens or 'not limited'}"


def _safety_filter_changed(pair: Pair) -> Iterator[str]:
    # A filter that is added counts as well: it stands between the model and what is around it, and nobody has looked at it.
    filters = {(filter_.name, filter_.digest) for filter_ in pair.new.safety_filters}
    if pair.old is None:
        yield f"safety filters are {', '.join(sorted(name for name, _ in filters)) or 'none'}; {_ALONE}"
        return
    before = {(filter_.name, filter_.digest) for filter_ in pair.old.safety_filters}
    for name in sorted({name for name, _ in filters ^ before}):
        was, now = (" and ".join(sorted(digest for known, digest in side if known == name)) for side in (before, filters))
        yield f"safety filter {name}: {was or 'none'} → {now or 'none'}"


def _vendor_changed(pair: Pair) -> Iterator[str]:
    # That nobody else runs it any more is none: then there are weights, and what is asked of them.
    if pair.release.change.type is ChangeType.VENDOR:
        yield "the change is of type Vendor"
    if pair.release.vendor is None:
        return
    now, was = _hosted(pair.release.vendor), _hosted(pair.baseline.vendor) if pair.baseline and pair.baseline.vendor else "nobody else ran it"
    if now != was:
        yield f"{was} → {now}" if pair.baseline else f"{now}; {_ALONE}"


def _hosted(vendor: Vendor) -> str:
    return f"{vendor.model} by {vendor.name}" + (f", version {vendor.version}" if vendor.version else "")


COMPARISONS: Final[Mapping[SecurityChange, Callable[[Pair], Iterator[str]]]] = MappingProxyType(
    {
        SecurityChange.FIRST_RELEASE: _first_release,
        SecurityChange.TOOL_ADDED: _tool_added,
        SecurityChange.TOOL_EFFECT_WIDENED: _tool_effect_widened,
        SecurityChange.DATA_CLASS_ADDED: _data_class_added,
        SecurityChange.SECRET_ADDED: _secret_added,
        SecurityChange.SECRET_LIFETIME_GROWN: _secret_lifetime_grown,
        SecurityChange.SERVICE_ACCOUNT_CHANGED: _service_account_changed,
        SecurityChange.PERMISSION_ADDED: _permission_added,
        SecurityChange.TOKEN_LIFETIME_GROWN: _token_lifetime_grown,
        SecurityChange.EGRESS_WIDENED: _egress_widened,
        SecurityChange.CONTEXT_WINDOW_GROWN: _context_window_grown,
        SecurityChange.SAFETY_FILTER_CHANGED: _safety_filter_changed,
        SecurityChange.VENDOR_CHANGED: _vendor_changed,
    }
)
"""How each difference that can be read from two releases is found."""
