"""Statistics on the wire: `GET /v1/statistics`, written by a scorer and read by the controller.

A scorer talks to model servers that nobody trusts yet, so the reader believes nothing: what does not fit the plan is refused as a whole. Numbers are integers,
members sorted: the same statistics are the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, canonical, parse
from sluice.scoring.statistics.grid import GRID, WHOLE
from sluice.scoring.tally import ALL, SIDES, Look, Samples, ShardStatistics, Stretch

STATISTICS_BYTES: Final = 32 << 20
VALUES: Final = 2_000_000
SLICES: Final = 256
"""Slices of one metric, `all` included: what the status of a run can hold."""
SUMS: Final = 1024
WORDS_LENGTH: Final = 500
"""As `NoAnswer.message` has them at most."""
NAME_LENGTH: Final = 192
"""Of a slice: dimension, `=` and value, as cases may have them."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9.-]{1,63}")
_POINT = re.compile(r"0|-?[1-9][0-9]{0,3}")


class StatisticsRefused(ValueError):
    """What a scorer said cannot be; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the plan lets a shard say."""

    plan: str
    """Digest of the plan."""
    shard: int
    stretches: Sequence[int]
    """Units of this shard in each look."""
    metrics: Collection[str]
    gates: Collection[str]


def as_json(statistics: ShardStatistics, looks: Iterable[bytes]) -> bytes:
    """Write statistics whose looks are written already, by `look_as_json`: a look that is complete never changes."""
    members: dict[str, object] = {
        "plan": statistics.plan,
        "shard": statistics.shard,
        "scored": statistics.scored,
        "of": statistics.of,
        "finished": statistics.finished,
        "gates": statistics.gates,
    }
    if statistics.samples is not None:
        members["samples"] = {"digest": statistics.samples.digest, "uri": statistics.samples.uri}
    if statistics.why:
        members["why"] = statistics.why
    # `looks` is put in behind the others, as written.
    return canonical(members)[:-1] + b',"looks":[' + b",".join(looks) + b"]}"


def look_as_json(look: Look) -> bytes:
    """Write one look."""
    tallies = {
        metric: {name: {str(point): weight for point, weight in tally.items()} for name, tally in slices.items()} for metric, slices in look.tallies.items()
    }
    return canonical({"look": look.look, "units": look.units, "void": look.void, "tallies": tallies, "sums": look.sums})


def read_statistics(raw: bytes, expected: Expected) -> ShardStatistics:
    """Read what a shard says, from its first look on.

    Raises StatisticsRefused: no strict JSON, another plan or shard, or numbers that this plan cannot give.
    """
    try:
        value = parse(raw, limit=STATISTICS_BYTES, values=VALUES)
    except JsonRefused as error:
        raise StatisticsRefused(f"the statistics {error}") from None
    members = _members(value, "the statistics", {"plan", "shard", "scored", "of", "finished", "gates", "looks"}, {"samples", "why"})
    if members["plan"] != expected.plan:
        raise StatisticsRefused(f"plan is {members['plan']!r:.100}, not {expected.plan}")
    if members["shard"] != expected.shard or isinstance(members["shard"], bool):
        raise StatisticsRefused(f"shard is {members['shard']!r:.100}, not {expected.shard}")
    of = sum(expected.stretches)
    if members["of"] != of or isinstance(members["of"], bool):
        raise StatisticsRefused(f"of is {members['of']!r:.100}; this shard has {of} units")
    if not isinstance(members["finished"], bool):
        raise StatisticsRefused("finished is neither true nor false")
    gates = _counts(members["gates"], "gates", limit=len(expected.gates))
    _subset(gates, expected.gates, "gates")
    looks = tuple(_look(value, index, expected) for index, value in enumerate(_list(members["looks"], "looks", len(expected.stretches))))
    if members["finished"] and len(looks) < len(expected.stretches):
        raise StatisticsRefused(f"finished, with {len(looks)} of {len(expected.stretches)} looks")
    return ShardStatistics(
        plan=expected.plan,
        shard=expected.shard,
        scored=_count(members["scored"], "scored", of),
        of=of,
        finished=members["finished"],
        looks=looks,
        gates=gates,
        samples=_samples(members["samples"]) if "samples" in members else None,
        why=_why(members["why"]) if "why" in members else {},
    )


def _look(value: JsonValue, index: int, expected: Expected) -> Look:
    where = f"looks[{index}]"
    members = _members(value, where, {"look", "units", "void", "tallies", "sums"})
    if members["look"] != index or isinstance(members["look"], bool):
        raise StatisticsRefused(f"{where}.look is {members['look']!r:.100}: looks come in order, without a gap")
    units = expected.stretches[index]
    if members["units"] != units or isinstance(members["units"], bool):
        raise StatisticsRefused(f"{where}.units is {members['units']!r:.100}; this shard has {units} there, and tells a look when all are scored")
    void = _count(members["void"], f"{where}.void", units)
    metrics = _object(members["tallies"], f"{where}.tallies")
    _subset(metrics, expected.metrics, f"{where}.tallies")
    sums = _members(members["sums"], f"{where}.sums", set(SIDES))
    return Look(
        look=index,
        units=units,
        void=void,
        tallies={metric: _slices(slices, f"{where}.tallies.{metric}", units - void) for metric, slices in metrics.items()},
        sums={side: _counts(sums[side], f"{where}.sums.{side}", limit=SUMS) for side in SIDES},
    )


def _slices(value: JsonValue, where: str, units: int) -> Mapping[str, Mapping[int, int]]:
    slices = _object(value, where)
    if len(slices) > SLICES or ALL not in slices:
        raise StatisticsRefused(f"{where} has {len(slices)} slices; {ALL!r} and at most {SLICES - 1} others belong there")
    for name in slices:
        if len(name) > NAME_LENGTH or not name.isprintable():
            raise StatisticsRefused(f"{where} has a slice {name!r:.100}; at most {NAME_LENGTH} printable characters belong there")
    tallies = {name: _tally(tally, f"{where}.{name}") for name, tally in slices.items()}
    weights = {name: sum(tally.values()) for name, tally in tallies.items()}
    for name, weight in weights.items():
        if weight % WHOLE or weight > weights[ALL]:
            raise StatisticsRefused(f"{where}.{name:.100} weighs {weight}: no whole number of units, or more than {ALL!r}")
    if weights[ALL] > units * WHOLE:
        raise StatisticsRefused(f"{where}.{ALL} weighs {weights[ALL]}; {units} units have a pair here")
    return tallies


def _tally(value: JsonValue, where: str) -> Mapping[int, int]:
    tally: dict[int, int] = {}
    for key, weight in _object(value, where).items():
        if not _POINT.fullmatch(key) or not -GRID <= int(key) <= GRID:
            raise StatisticsRefused(f"{where} has a difference {key!r:.40}; thousandths from {-GRID} to {GRID} belong there")
        tally[int(key)] = _count(weight, f"{where}[{key}]", None)
    return tally


def _samples(value: JsonValue) -> Samples:
    members = _members(value, "samples", {"digest", "uri"})
    digest, uri = members["digest"], members["uri"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(uri, str) or not 0 < len(uri) <= 2048:  # noqa: PLR2004 - as `api.base.Uri`
        raise StatisticsRefused("samples is not a digest and a URI")
    return Samples(digest=digest, uri=uri)


def _why(value: JsonValue) -> dict[str, str]:
    words = {side: text for side, text in _object(value, "why").items() if side in SIDES and isinstance(text, str) and len(text) <= WORDS_LENGTH}
    if words != value:
        raise StatisticsRefused(f"why is {value!r:.100}; {' and '.join(SIDES)} with at most {WORDS_LENGTH} characters each belong there")
    # They go to a status and to terminals, and may be the words of a model server.
    return {side: "".join(character if character.isprintable() else " " for character in text) for side, text in words.items()}


def _members(value: JsonValue, where: str, needed: set[str], optional: Collection[str] = ()) -> JsonObject:
    members = _object(value, where)
    if not needed <= members.keys() <= needed | set(optional):
        raise StatisticsRefused(f"{where} has members {sorted(members)!r:.300}; {sorted(needed)} belong there")
    return members


def _subset(names: Mapping[str, object], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise StatisticsRefused(f"{where} names {name!r:.100}, which the plan does not have")


def _counts(value: JsonValue, where: str, *, limit: int) -> dict[str, int]:
    counts = _object(value, where)
    if len(counts) > limit:
        raise StatisticsRefused(f"{where} has {len(counts)} members; at most {limit} belong there")
    for name in counts:
        if not _NAME.fullmatch(name):
            raise StatisticsRefused(f"{where} names {name!r:.100}; at most 63 letters, digits, '-' and '.' belong there")
    return {name: _count(count, f"{where}.{name}", None) for name, count in counts.items()}


def _count(value: JsonValue, where: str, limit: int | None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or (limit is not None and value > limit):
        raise StatisticsRefused(f"{where} is {value!r:.40}; a count{'' if limit is None else f' up to {limit}'} belongs there")
    return value


def _list(value: JsonValue, where: str, limit: int) -> list[JsonValue]:
    if not isinstance(value, list) or len(value) > limit:
        raise StatisticsRefused(f"{where} is not a list of at most {limit}")
    return value


def _object(value: JsonValue, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise StatisticsRefused(f"{where} is not an object")
    return value


def stretches(looks: Sequence[int], *, shard: int, shards: int) -> tuple[int, ...]:
    """How many units of this shard each look has: ranks from the look before to this one, modulo the number of shards."""

    def below(rank: int) -> int:
        return max(0, -(-(rank - shard) // shards))

    return tuple(below(look) - below(before) for before, look in zip((0, *looks), looks, strict=False))


def empty_stretches(looks: Sequence[int], *, shard: int, shards: int) -> list[Stretch]:
    """The stretches of a shard before it has begun."""
    return [Stretch(look=index, expected=expected) for index, expected in enumerate(stretches(looks, shard=shard, shards=shards))]
