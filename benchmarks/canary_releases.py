"""Releases of known quality, one after another on a real cluster whose parts are killed meanwhile: what is decided, how fast, and what users notice.

Sluice is installed with Helm on the embedded cluster; a model that serves users behind a Service is the baseline, and each candidate that is promoted is
the baseline of the next. In each release one part is killed with `kill -9` at a moment that the seed draws: the controller that leads, a webhook, the
scorer, the candidate, the kubelet, the API server. Users ask the Service all the time; who answered and what failed is counted.

A candidate that dies while it is asked has missed answers, and those count against it: so only candidates that are worse anyway are killed.

    python benchmarks/canary_releases.py [--quick] [--releases N] [--seed N] [--json FILE] [--markdown FILE] [--cluster NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.canary import model_server
from benchmarks.canary.kills import SYSTEM, Part, kill_part
from e2e.cluster import Cluster, Narrator, StepFailed
from tests.cluster.canary_story import Canary, sluice_image
from tests.cluster.namespace import Namespace, Object

CASES: Final = 2000
MARGIN: Final = "0.02"
QUICK: Final = 3
KILL_WITHIN_SECONDS: Final = 15.0
"""About what a comparison takes on a quiet machine, from the push on."""
DECIDED_WITHIN_SECONDS: Final = 300.0
UNDECIDED: Final = "Undecided"
_CHART: Final = Path(__file__).resolve().parent.parent / "charts" / "sluice"


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of candidate: its quality beside its baseline's, and what is right to decide about it."""

    name: str
    right: str
    wrong: float = 0.0
    rare: float = 0.0
    errors: float = 0.0
    slow: float = 0.0


KINDS: Final = (
    Kind(name="identical", right="Promote"),
    Kind(name="1 pt worse: within the margin", right="Promote", wrong=0.01),
    Kind(name="5 pt worse", right="RollBack", wrong=0.05),
    Kind(name="10 pt worse", right="RollBack", wrong=0.10),
    Kind(name="one slice of 5 % loses 30 pt", right="RollBack", rare=0.30),
    Kind(name="4 % errors", right="RollBack", errors=0.04),
    Kind(name="10 % slow", right="RollBack", slow=0.10),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One release of a series."""

    number: int
    kind: Kind
    part: Part
    after: float

    @property
    def name(self) -> str:
        """Name of its ModelRelease."""
        return f"churn-2-1-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one release. Seconds; `failed`: requests of users."""

    kind: str
    right: str
    decision: str
    reason: str
    units: int
    killed: str
    killed_after: float
    to_decision: float
    to_gone: float
    to_done: float
    asked: int
    failed: int
    failures: str

    @property
    def verdict(self) -> str:
        """Whether the decision is the right one."""
        if self.decision in {"Inconclusive", UNDECIDED}:
            return self.decision.lower()
        return "right" if self.decision == self.right else "wrong"


def series(count: int, seed: int) -> list[Planned]:
    """Draw a series: all kinds and all parts about equally often, in a random order."""
    drawn = random.Random(seed)

    def shuffled(of: Sequence[Any]) -> list[Any]:
        items: list[Any] = []
        while len(items) < count:
            items += drawn.sample(of, len(of))
        return items[:count]

    kinds: list[Kind] = shuffled(KINDS)
    parts: list[Part] = shuffled(tuple(Part))
    for place, part in enumerate(parts):
        if part is Part.CANDIDATE and kinds[place].right == "Promote":
            other = next((n for n in range(count) if kinds[n].right == "RollBack" and parts[n] is not Part.CANDIDATE), place)
            parts[place], parts[other] = (parts[other], part) if other != place else (Part.SCORER, part)
    return [
        Planned(number=n, kind=kind, part=part, after=drawn.uniform(0, KILL_WITHIN_SECONDS)) for n, (kind, part) in enumerate(zip(kinds, parts, strict=True))
    ]


class Release(Canary):
    """A release of known quality; `inherited`: mistakes that its baseline makes too."""

    def __init__(self, ns: Namespace, image: str, *, name: str, baseline: str | None, kind: Kind, inherited: Sequence[tuple[int, float]] = ()) -> None:
        super().__init__(ns, image, release=name, baseline=baseline, terms={"margin": MARGIN, "planned": CASES})
        self.kind = kind
        self.mistakes = [*inherited, *([(len(inherited), kind.wrong)] if kind.wrong else [])]

    @cached_property
    def first(self) -> Release:
        """The first of a series is its own."""
        return self

    def suite(self) -> Object:
        """Ask so many questions, one in twenty of them in the rare slice; an answer within 0.3 s is in time."""
        suite = super().suite()
        rare = {"slices": {"kind": "rare"}}
        cases = (
            {"id": f"c-{n}", "input": {"text": str(n)}, "expect": {"text": "yes" if n % 2 else "no"}} | ({} if n % model_server.RARE_EVERY else rare)
            for n in range(CASES)
        )
        suite["spec"]["cases"]["inline"] = "".join(json.dumps(case, separators=(",", ":")) + "\n" for case in cases)
        suite["spec"]["slices"] = ["kind"]
        suite["spec"]["scorers"].append({"name": "latency", "type": "Latency", "limitSeconds": "0.3"})
        return suite

    def deployment_of(self, wrong: int = 0, *, replicas: int = 2) -> Object:
        """Serve with this quality."""
        deployment = super().deployment_of(wrong, replicas=replicas)
        quality = {"wrong": self.mistakes, "rare": self.kind.rare, "errors": self.kind.errors, "slow": self.kind.slow, "seconds": 0.6}
        source = Path(model_server.__file__).read_text(encoding="utf-8")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["/opt/sluice/bin/python3", "-c", source, self.release, json.dumps(quality)]
        return deployment


class Series:
    """Releases in one namespace, and who serves."""

    def __init__(self, cluster: Cluster, ns: Namespace, image: str) -> None:
        self.cluster, self.ns, self.image = cluster, ns, image
        self.serving = Release(ns, image, name="churn-2-0-0", baseline=None, kind=KINDS[0])

    def begin(self) -> None:
        """The first release serves."""
        self.serving.serve_baseline()

    def run(self, planned: Planned, users: Counter[str]) -> Told:
        """One release, from its approval until either it or its baseline alone is there."""
        before = users.copy()
        candidate = Release(
            self.ns, self.image, name=planned.name, baseline=self.serving.release, kind=planned.kind, inherited=self.serving.mistakes
        )  # fmt: skip
        run = f"{planned.name}-1"
        candidate.propose()
        candidate.wait_phase("AwaitingApproval", seconds=60)
        candidate.approve()
        candidate.wait_phase("Canary", seconds=60)
        self.ns.apply(candidate.deployment_of())
        pushed, decided = time.time(), threading.Event()
        killed: list[float] = []

        def kill() -> None:
            if not decided.wait(planned.after) and kill_part(self.cluster, self.ns, run, planned.part, give_up=decided.is_set):
                killed.append(time.time() - pushed)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            status = self._until(lambda: self._decided(run), what=f"{run} decides", seconds=DECIDED_WITHIN_SECONDS)
        except StepFailed as failure:
            now = datetime.now(UTC).isoformat()
            status = {"decision": UNDECIDED, "reason": str(failure), "units": 0, "decidedAt": now}
        finally:
            decided.set()
            killer.join()
        at = datetime.fromisoformat(status["decidedAt"]).timestamp()
        if status["decision"] == UNDECIDED:
            self._revert()
        gone = self._until(lambda: self._gone(run), what="the canary is gone", seconds=120)
        if status["decision"] == "Promote":
            self.serving = candidate
        else:
            self._revert()
        self._until(self._rolled_out, what="two ready Pods of one template", seconds=180)
        done = time.time()
        self._whole()
        answers = users - before
        return Told(
            kind=planned.kind.name, right=planned.kind.right, decision=status["decision"], reason=status["reason"], units=status["units"],
            killed=planned.part if killed else "nothing", killed_after=killed[0] if killed else 0.0,
            to_decision=at - pushed, to_gone=gone - at, to_done=done - at,
            asked=sum(count for who, count in answers.items() if who.startswith("churn-")), failed=answers["failed"],
            failures="; ".join(f"{count} × {error}" for error, count in answers.items() if error.startswith("error ")),
        )  # fmt: skip

    def _revert(self) -> None:
        """Git names the version again that serves."""
        self._until(lambda: self.ns.apply(self.serving.deployment_of()), what="Git is reverted", seconds=60)

    def _decided(self, run: str) -> dict[str, Any] | None:
        status: dict[str, Any] = self.ns.get("canaryrun", run).get("status", {})
        return status if status.get("phase") == "Decided" else None

    def _gone(self, run: str) -> float:
        """When the candidate's Pod is on its way out or gone; 0 while it is there."""
        pods = self.ns.list("pods", selector=f"sluice.dev/canary-run={run},sluice.dev/canary-role=candidate")
        return 0.0 if any("deletionTimestamp" not in pod["metadata"] for pod in pods) else time.time()

    def _rolled_out(self) -> bool:
        deployment = self.ns.get("deployment", "churn")
        status = deployment["status"]
        current = status.get("observedGeneration") == deployment["metadata"]["generation"] and not deployment["spec"].get("paused")
        return current and {status.get(field) for field in ("replicas", "updatedReplicas", "readyReplicas")} == {2}

    def _whole(self) -> None:
        """Wait until every part is back, so that the next release begins like this one."""
        for name in ("sluice-controller", "sluice-webhook"):
            rollout = ("rollout", "status", f"deployment/{name}", f"--namespace={SYSTEM}", "--timeout=60s")
            self._until(lambda: self.cluster.kubectl(*rollout), what=f"{name} is whole", seconds=120)  # noqa: B023 - now

    @staticmethod
    def _until(happened: Callable[[], T | None], *, what: str, seconds: float) -> T:
        """Wait, through failures of an API server that is down, until something gives something."""
        deadline = time.monotonic() + seconds
        last: Exception | None = None
        while time.monotonic() < deadline:
            with contextlib.suppress(KeyError):
                try:
                    if found := happened():
                        return found
                except (StepFailed, subprocess.TimeoutExpired) as failure:
                    last = failure
            time.sleep(0.2)
        raise StepFailed(f"{what}: not within {seconds:.0f} s ({last})")


def install(cluster: Cluster, image: str) -> None:
    """Install Sluice with Helm."""
    repository, _, digest = image.partition("@")
    values = (f"--set=image.repository={repository}", f"--set=image.digest={digest}")
    helm = [str(cluster.binaries["helm"]), f"--kubeconfig={cluster.kubeconfig}", f"--namespace={SYSTEM}"]
    subprocess.run(
        [*helm, "upgrade", "--install", "sluice", str(_CHART), "--create-namespace", "--take-ownership", "--wait", "--timeout=5m", *values],
        check=True,
        timeout=330,
    )


def measure(cluster: Cluster, planned: Sequence[Planned]) -> list[Told]:
    """Run a series."""
    image = sluice_image(cluster)
    install(cluster, image)
    told: list[Told] = []
    with Namespace(cluster, prefix="series") as ns:
        releases = Series(cluster, ns, image)
        releases.begin()
        with releases.serving.users() as users:
            for one in planned:
                told.append(releases.run(one, users))
                print(line(told[-1]), flush=True)
    return told


def line(told: Told) -> str:
    """One row for the terminal."""
    return (
        f"{told.kind:<30} {told.verdict:<12} {told.decision:<12} {told.units:>5} cases  decided {told.to_decision:5.1f} s  gone {told.to_gone:4.1f} s  "
        f"done {told.to_done:5.1f} s  killed {told.killed} after {told.killed_after:.1f} s  failed {told.failed} of {told.asked + told.failed} {told.failures}"
    )


def summary(told: Sequence[Told]) -> list[str]:
    """What all of it came to, beside the targets."""
    verdicts = Counter(one.verdict for one in told)
    gone = max((one.to_gone for one in told if one.decision == "RollBack"), default=0.0)
    failed, asked = sum(one.failed for one in told), sum(one.asked + one.failed for one in told)
    return [
        f"{len(told)} releases: "
        + ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("right", "wrong", "inconclusive", "undecided"))
        + " (target: none wrong)",
        f"failed requests of users: {failed} of {asked:,} (target 0)",
        f"longest from a decision to roll back until the candidate was on its way out: {gone:.1f} s (target < 2 s while nothing is down)",
        f"kills: {', '.join(f'{count} × {part}' for part, count in sorted(Counter(one.killed for one in told).items()))}",
    ]


def markdown(told: Sequence[Told], *, seed: int) -> str:
    """Write the report."""
    rows = "\n".join(
        f"| {n} | {one.kind} | {one.decision} ({one.reason}) | {one.verdict} | {one.units:,} | {one.to_decision:.1f} | {one.to_gone:.1f} | {one.to_done:.1f} | "
        f"{one.killed}{f', {one.killed_after:.1f} s' if one.killed != 'nothing' else ''} | {one.failed} of {one.asked + one.failed:,} |"
        for n, one in enumerate(told, start=1)
    )
    points = "\n".join(f"- {text}" for text in summary(told))
    return f"""# Releases one after another, while parts are killed
<!-- Generated by `python benchmarks/canary_releases.py --markdown docs/canary-releases.md`. Do not edit. -->

Sluice as the chart installs it, on the embedded cluster, on two shared cores. One model serves users behind a Service, two Pods; candidates of known quality
follow one another (seed {seed}), each is compared with the one that serves, on up to {CASES:,} cases and a margin of {MARGIN}, and each time one part is
killed with `kill -9`. Parts of Kubernetes are started again after two seconds, containers by the kubelet.

{points}

Seconds: from the push until the decision, the start of both Pods included; from the decision until the candidate was on its way out; from the decision until
only the right version runs (rolled out, or Git reverted). *killed*: what, and how long after the push.

| # | candidate | decision | | cases | to decision | to gone | to done | killed | failed requests |
|---|---|---|---|---|---|---|---|---|---|
{rows}

What it does not show: candidates that die are all worse than their baseline, as missed answers count against a candidate; models whose answers vary from one
moment to the next; more than one part down at the same time; clusters of several nodes.
"""


def main() -> int:
    """Run; returns 1 when a decision is wrong or a request of a user failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} releases: about a minute and a half, once the cluster is up")
    parser.add_argument("--releases", type=int, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--seed", type=int, default=4, help="draws order, parts and moments (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report to FILE (docs/canary-releases.md)")
    parser.add_argument("--cluster", default="bench", metavar="NAME", help="local cluster to use; brought up if need be (default: bench)")
    options = parser.parse_args()
    planned = series(QUICK if options.quick else options.releases, options.seed)
    told = measure(Cluster.up(options.cluster, narrator=Narrator()), planned)
    print("\n".join(summary(told)))
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, "releases": [asdict(one) for one in told]}, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(told, seed=options.seed), encoding="utf-8")
    return int(any(one.verdict == "wrong" or one.failed for one in told))


if __name__ == "__main__":
    sys.exit(main())
