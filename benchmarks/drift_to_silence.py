"""From drift in live traffic to the last user who meets it, on a real cluster: a real Prometheus, real Pods, and people who ask all the time.

A release serves two Pods behind a Service, and refuses one answer in ten, as its baseline did. It is told to refuse every second one. What is measured from
that moment: until the monitor finds it, until its baseline is asked to stand in, until the first Pod that drifted goes, and until it answered a user for the
last time. Then the next release comes, and the same again.

Told beside it is the load of the machine: nearly all of the time after the finding is the start of two Pods.

    python benchmarks/drift_to_silence.py [--quick | --rounds N] [--json FILE] [--cluster NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from e2e.cluster import Cluster, Narrator
from tests.cluster.canary_story import BASELINE, PORT, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace, Object
from tests.cluster.prometheus import Prometheus
from tests.cluster.watched_story import REFUSALS, Watched, scrape

QUIET_SECONDS: Final = 3.0
"""Nobody was answered by the release for so long, though many asked: it is over."""
LIMIT_SECONDS: Final = 120.0
TARGET_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.03
"""Of each of the two people who ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Seconds since the drift. `asked`: answers to users a second; `load`: of the machine, over a minute."""

    found: float
    stand_in: float
    first_gone: float
    silent: float
    asked: float
    failed: int
    load: float


class Plain(Watched):
    """Watched by nothing but the query, and served by nothing but the model."""

    def policy_spec(self) -> Object:
        """Leave the probes out: they load the machine that is measured."""
        return super().policy_spec() | {"monitors": [REFUSALS]}

    def deployment_of(self, wrong: int = 0, *, replicas: int = 2) -> Object:
        """Leave the collector out."""
        deployment = super().deployment_of(wrong, replicas=replicas)
        spec = deployment["spec"]["template"]["spec"]
        spec["containers"], spec["volumes"] = spec["containers"][:1], []
        return deployment


def drift(story: Watched) -> float:
    """All Pods begin to refuse at once; give the moment before."""
    began = time.monotonic()
    with ThreadPoolExecutor() as hands:
        list(hands.map(lambda address: urllib.request.urlopen(f"http://{address}/drift", data=b"{}", timeout=5).close(), story.pods()))
    return began


def watch(process: Process, story: Watched, users: Counter[str]) -> Round:
    """Let a release drift, and note what happens when."""
    said, before = len(process.said()), users.copy()
    signs = {"found": "which asks for RollBack", "stand_in": "stands in for Deployment", "first_gone": "its release may serve no more"}
    seen: dict[str, float] = {}
    heard, last = users[story.release], time.monotonic()
    began = drift(story)
    while len(seen) < len(signs) or time.monotonic() - last < QUIET_SECONDS:
        if time.monotonic() - began > LIMIT_SECONDS:
            raise TimeoutError(f"{story.release} still answers after {LIMIT_SECONDS:.0f} s; seen so far: {seen}")
        lines, now = process.said()[said:], time.monotonic()
        seen |= {sign: now - began for sign, words in signs.items() if sign not in seen and words in lines}
        if users[story.release] != heard:
            heard, last = users[story.release], now
        time.sleep(0.02)
    meanwhile = users - before
    rate = meanwhile.total() / (time.monotonic() - began)
    return Round(**seen, silent=last - began, asked=rate, failed=meanwhile["failed"], load=os.getloadavg()[0])


def measure(cluster: Cluster, folder: Path, rounds: int) -> list[Round]:
    """Run all rounds."""
    image, told = sluice_image(cluster), []
    with Prometheus(cluster, folder / "prometheus") as prometheus, Controller(cluster, folder) as installed, Namespace(cluster, prefix="drift") as ns:
        process = installed.lead("controller-0", prometheus_url=prometheus.url, scorer_image=image)
        first = Plain(ns, image, prometheus, release=BASELINE, baseline=None)
        first.platform()
        first.prove()
        first.roll_out()
        ports = [{"port": 80, "targetPort": PORT}]
        ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"}, "spec": {"selector": {"app": "churn"}, "ports": ports}})
        scrape(prometheus, first)
        with first.users(pause=PAUSE_SECONDS) as users:
            first.until(lambda: "reference" in first.monitor()["spec"], seconds=LIMIT_SECONDS)
            for number in range(rounds):
                story = Plain(ns, image, prometheus, release=f"churn-2-1-{number}", baseline=BASELINE)
                story.roll_out()
                scrape(prometheus, story)
                story.until(lambda: story.monitor()["status"].get("observations", 0) > 0, seconds=LIMIT_SECONDS)  # noqa: B023 - now
                told.append(watch(process, story, users))
                print(line(told[-1]), flush=True)
    return told


def line(one: Round) -> str:
    """One row for the terminal."""
    return (
        f"found {one.found:4.1f} s  stand-in made {one.stand_in:4.1f} s  first Pod goes {one.first_gone:4.1f} s  silent {one.silent:4.1f} s  "
        f"({one.asked:.0f} answers a second, {one.failed} failed, load {one.load:.1f})"
    )


def main() -> int:
    """Run; returns 1 when a round took longer than the target or a request of a user failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one release: under a minute, once the cluster is up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how many releases drift, one after another (default: 5)")
    parser.add_argument("--cluster", default="bench", metavar="NAME", help="local cluster to use; brought up if need be (default: bench)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-drift-") as folder:
        told = measure(Cluster.up(options.cluster, narrator=Narrator()), Path(folder), 1 if options.quick else options.rounds)
    middle = [statistics.median(values) for values in zip(*map(astuple, told), strict=True)]
    print("median: " + line(Round(**dict(zip((field.name for field in fields(Round)), middle, strict=True)))))
    print(f"longest until nobody met it: {max(one.silent for one in told):.1f} s (target < {TARGET_SECONDS:.0f} s)")
    if options.json:
        options.json.write_text(json.dumps({"rounds": [asdict(one) for one in told]}, indent=1) + "\n", encoding="utf-8")
    return int(any(one.silent >= TARGET_SECONDS or one.failed for one in told))


if __name__ == "__main__":
    sys.exit(main())
