"""A release whose canary counts recorded pairs, in memory: the recording, and what is signed about it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sluice.api.recording import ConfigMapFile, ImageFile
from sluice.evidence.shadow_pairs import PREDICATE_TYPE, Named, ShadowPairs
from tests.unit.decision import case as c

Object = dict[str, Any]
RECORDER = "https://git.example.com/payments/gateway/.ci/mirror.yml@refs/heads/main"
SUITE = {"cases": {"recorded": "Pairs"}, "protocol": {"type": "Http", "port": 8080, "http": {"path": "/", "body": '{"text": "{{text}}"}', "answer": "/label"}}}
PLACE = ConfigMapFile(name="churn-pairs", key="pairs.jsonl")
IMAGE = ImageFile(reference="registry.example.com/pairs@sha256:" + "4" * 64)


def pairs(wrong: int = 0, *, count: int = 120) -> str:
    """A recording in which the candidate errs on every `wrong`-th question."""
    lines = []
    for number in range(count):
        right = {"seconds": 0.1, "body": json.dumps({"label": "yes"})}
        erred = {"seconds": 0.1, "body": json.dumps({"label": "no"})}
        asked = {"input": {"fields": {"text": str(number)}}, "expect": {"text": "yes"}}
        lines.append(json.dumps(asked | {"baseline": right, "candidate": erred if wrong and number % wrong == 0 else right}))
    return "\n".join(lines) + "\n"


PAIRS = pairs()


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def policy(*, may: bool = True, **changes: Any) -> Object:  # noqa: ANN401 - fields of the requirement
    """The policy of a canary; `may`: it permits the recorder."""
    asked = c.canary_policy(c.canary_requirement(**changes))
    asked["spec"]["signers"].append(
        {"name": "mirror-ci", "trustRoot": "ci", "issuer": c.ISSUER, "identity": RECORDER, "may": ["ShadowPairs" if may else "Dataset"]}
    )
    return asked


def recorded_world(**changes: Any) -> c.World:  # noqa: ANN401 - fields of the requirement
    """A canary world whose suite counts pairs, before anything is recorded."""
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(**SUITE)))
    world.put("ReleasePolicy", policy(**changes))
    return world


def said(world: c.World, text: str = PAIRS, **changes: Any) -> ShadowPairs:  # noqa: ANN401 - fields of the statement
    """What is recorded of the release beside its baseline, as `world` knows both."""
    suite = world.canaries.suites[c.Key(c.NAMESPACE, "churn-core")]
    fields: Object = {
        "digest": digest_of(text), "questions": len(text.splitlines()), "kept": PLACE,
        "candidate": named(world, c.KEY), "baseline": named(world, c.BASELINE_KEY), "suite": Named(name="churn-core", digest=suite.digest),  # type: ignore[union-attr]
        "recorded_from": datetime(2026, 11, 18, 12, tzinfo=UTC), "recorded_until": datetime(2026, 11, 20, 10, tzinfo=UTC),
    }  # fmt: skip
    return ShadowPairs(**fields | changes)


def named(world: c.World, key: c.Key) -> Named:
    verdict = world.verdict(key, now=c.NOW)
    assert verdict is not None
    return Named(name=key.name, digest=verdict.release_digest)


def statement(recording: ShadowPairs) -> Object:
    subject = {"name": "pairs.jsonl", "digest": {"sha256": recording.digest.removeprefix("sha256:")}}
    return {"_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicateType": PREDICATE_TYPE, "predicate": recording.predicate()}


def evidence(name: str, recording: ShadowPairs, *, identity: str = RECORDER, when: datetime | None = None) -> Object:
    """A ReleaseEvidence about a recording."""
    return c.evidence(name, c.sign(statement(recording), identity=identity, when=when))


def vouched_world(text: str = PAIRS, **changes: Any) -> c.World:  # noqa: ANN401 - fields of the requirement
    """A world in which the release may be scored on a recording."""
    world = recorded_world(**changes)
    world.put("ReleaseEvidence", evidence("pairs", said(world, text)))
    return world


def run(world: c.World, name: str = "churn-2-1-0-1", *, decision: str = "Pending", **changes: Any) -> Object:  # noqa: ANN401 - fields of the run
    """A CanaryRun of what `world` asks for now."""
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    (due,) = verdict.due
    assert due.recording is not None
    return c.run(name, world, decision=decision, recording=due.recording.model_dump(mode="json", by_alias=True, exclude_none=True), **changes)
