"""What a verdict costs: on a release with much evidence under large policies, and on ten thousand releases after a change of policy.

The reference `parse` is what anybody pays who looks at the objects at all: `json.loads` of what the API server sends of them. Signatures are verified before
anything is timed: facts are kept, and `benchmarks/verification.py` is about them.

*One release*: 200 bundles about it and its baseline, 50 requirements, 40 slices that are compared case by case. `first` has never seen the two runs; `again`
is what every later verdict costs, with nothing kept but comparisons; `kept` is asked twice while nothing changes.

*A change of policy*: releases in namespaces of a hundred, each with evidence and approvals of its own namespace. A policy that selects all of them is
replaced, and each release is decided anew.

    python benchmarks/verdict.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sluice.decision.decide import decide
from sluice.decision.model import Release
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_envelope import OLD_WEIGHTS, baseline_spec

STATEMENTS: Final = 200
REQUIREMENTS: Final = 50
SLICES: Final = 40
CASES: Final = 2_000
IN_A_NAMESPACE: Final = 100
MIB: Final = 1024
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str

    def __str__(self) -> str:
        """One line of the table."""
        return f"  {self.name:<52} {self.value:>12,.3f} {self.unit}"


def one_release(figures: list[Figure], *, statements: int, rounds: int) -> None:
    """Decide about one release with much evidence."""
    objects = _objects(statements)
    world = World()
    for item in objects:
        world.put(item["kind"], item)
    release = world.releases[c.KEY]
    if not isinstance(release, Release):
        raise TypeError(f"the release cannot be read: {release}")
    first = _timed(lambda: decide(world.case(release), now=c.NOW), 1)
    verdict = world.verdict(c.KEY, now=c.NOW)
    if verdict is None or not any(f"and so in {SLICES} slices" in result.message for result in verdict.results):
        raise RuntimeError("not all slices are compared: something else is measured than is said")
    again = _timed(lambda: decide(world.case(release), now=c.NOW), rounds)
    kept = _timed(lambda: world.verdict(c.KEY, now=c.NOW), 1000 * rounds)
    raw = [json.dumps(item) for item in objects]
    parse = _timed(lambda: [json.loads(text) for text in raw], rounds)
    figures += [
        Figure(name=f"one release: parse {len(raw)} objects (reference)", value=parse * 1e3, unit="ms"),
        Figure(name="one release: first verdict", value=first * 1e3, unit="ms"),
        Figure(name="one release: verdict again", value=again * 1e3, unit="ms"),
        Figure(name="one release: verdict again / parse", value=again / parse, unit="×"),
        Figure(name="one release: kept verdict", value=kept * 1e6, unit="µs"),
    ]


def many_releases(figures: list[Figure], *, releases: int) -> None:
    """Decide about all releases after a change of policy."""
    before = _resident()
    world = World()
    raw = []
    for item in _many(releases):
        world.put(item["kind"], item)
        raw.append(json.dumps(item))
    held = _resident() - before
    policy = c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace="")
    policy["spec"]["requirements"][2]["measures"][0]["atLeast"] = "0.91"
    started = time.process_time()
    touched = world.put("ReleasePolicy", policy)
    decided = sum(world.verdict(key, now=c.NOW) is not None for key in touched)
    took = time.process_time() - started
    if decided != releases:
        raise RuntimeError(f"{decided} of {releases} releases were decided anew")
    parse = _timed(lambda: [json.loads(text) for text in raw], 1)
    figures += [
        Figure(name=f"{releases:,} releases: parse all objects (reference)", value=parse, unit="s"),
        Figure(name=f"{releases:,} releases: all verdicts after a change", value=took, unit="s"),
        Figure(name=f"{releases:,} releases: all verdicts / parse", value=took / parse, unit="×"),
        Figure(name=f"{releases:,} releases: rate", value=releases / took, unit="verdicts/s"),
        Figure(name=f"{releases:,} releases: memory for each", value=held / releases * MIB, unit="KiB"),
    ]


def _objects(statements: int) -> list[Object]:
    """A release and its baseline, each evaluated again and again, under one policy that asks for much."""
    spec = c.policy_spec()
    evaluation, beside = spec["requirements"][2], {"suite": "churn-core", "metric": "acc", "notWorseThanBaselineBy": "0.3", "slices": ["region"]}
    evaluation["measures"] = [{"suite": "churn-core", "metric": "acc", "atLeast": "0.5"}, beside]
    kinds = [spec["requirements"][0], spec["requirements"][1], evaluation, spec["requirements"][3]]
    spec["requirements"] = [deepcopy(kinds[at % len(kinds)]) | {"name": f"r{at}"} for at in range(32)]
    more = deepcopy(spec) | {"requirements": [each | {"name": f"s{at}"} for at, each in enumerate(spec["requirements"][: REQUIREMENTS - 32])]}
    found = [
        c.namespace(), c.trust_root(), c.item("ReleasePolicy", "customer-facing", spec, namespace=""), c.item("ReleasePolicy", "more", more, namespace=""),
        c.item("ModelRelease", c.BASELINE, baseline_spec()),
        c.item("ModelRelease", c.NAME, c.release_spec() | {"change": {"type": "Retrain", "baseline": {"name": c.BASELINE}}}),
        *(c.evidence(name, bundle) for name, bundle in c.bundles().items() if name != "evaluation"),
    ]  # fmt: skip
    for number in range(statements - 3):
        raw = _samples(number)
        digest = OLD_WEIGHTS if number % 2 else c.weights_digest()
        found.append(c.evidence(f"e{number}", c.sign(c.evaluation_statement(digest, "raw", raw), identity=c.EVALUATOR), {"raw": raw}))
    return found


def _samples(number: int) -> bytes:
    """Cases in as many regions as slices are compared; each run has another one wrong."""
    header = {"format": "https://sluice.dev/scored-samples/v1", "suite": "churn-core", "tool": {"name": "t", "version": "1"}, "cases": CASES}
    rows = [{"id": str(each), "scores": {"acc": float(each != number % CASES)}, "slices": {"region": f"r{each % SLICES}"}} for each in range(CASES)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in (header, *rows))


def _many(releases: int) -> list[Object]:
    """Namespaces of a hundred releases of one model: evidence is about its weights, approvals are about each."""
    found = [c.trust_root(), c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace="")]
    model = c.approved_world()
    verdict = model.verdict(c.KEY, now=c.NOW)
    if verdict is None:
        raise RuntimeError("the release cannot be read")
    for number in range(releases):
        namespace = f"team-{number // IN_A_NAMESPACE}"
        if number % IN_A_NAMESPACE == 0:
            found.append(c.namespace(namespace))
            for name, bundle in c.bundles().items():
                item = c.evidence(name, bundle, {"results.json": c.raw_results()} if name == "evaluation" else None)
                found.append(item | {"metadata": item["metadata"] | {"namespace": namespace}})
        name = f"churn-{number % IN_A_NAMESPACE}"
        found.append(c.item("ModelRelease", name, c.release_spec() | {"version": f"2.{number}.0"}, namespace=namespace))
        for role, person in (("owner", "olga@example.com"), ("security", "sam@example.com")):
            spec = {
                "release": {"name": name}, "releaseDigest": verdict.release_digest, "evidenceDigest": verdict.evidence_digest, "role": role,
                "decision": "Approve", "approver": {"username": person, "groups": ["payments-ml-leads"]},
            }  # fmt: skip
            found.append(c.item("ReleaseApproval", f"{name}-{role}", spec, namespace=namespace))
    return found


def _timed(work: Any, rounds: int) -> float:  # noqa: ANN401 - whatever is called
    started = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - started) / rounds


def _resident() -> float:
    """The most this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer releases and rounds: seconds instead of a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    figures: list[Figure] = []
    many_releases(figures, releases=1_000 if options.quick else 10_000)
    one_release(figures, statements=40 if options.quick else STATEMENTS, rounds=3 if options.quick else 20)
    for figure in figures:
        print(figure)
    if options.json:
        options.json.write_text(json.dumps([{"name": each.name, "value": each.value, "unit": each.unit} for each in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
