"""Two processes and one Lease on a real API server: never two writers, and a new one soon after the old one died."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import Cluster
from sluice.cluster.lease import uptime
from tests.cluster.forked import Forked
from tests.cluster.lease_holder import LOST, hold
from tests.cluster.namespace import Namespace

TAKE_OVER_SECONDS = 20


class Holder:
    """A process that wants the lease, and the writes that it has confirmed so far."""

    def __init__(self, cluster: Cluster, ns: Namespace, name: str, folder: Path) -> None:
        self.file = folder / name
        self.file.touch()
        self.process = Forked(hold, str(cluster.kubeconfig), ns.name, name, str(self.file), log=folder / f"{name}.log")

    @property
    def writes(self) -> list[tuple[float, float, int]]:
        """Begun, confirmed, resource version."""
        return [tuple(json.loads(line)) for line in self.file.read_text().splitlines()]

    def send(self, number: signal.Signals) -> float:
        """Send a signal; gives the time of it."""
        self.process.send_signal(number)
        return uptime()


@contextmanager
def holders(cluster: Cluster, ns: Namespace, folder: Path) -> Iterator[Callable[[str], Holder]]:
    started: list[Holder] = []

    def start(name: str) -> Holder:
        started.append(Holder(cluster, ns, name, folder))
        return started[-1]

    try:
        yield start
    finally:
        for holder in started:
            holder.process.kill()
            holder.process.wait()


def wait(condition: Callable[[], object], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def assert_never_two_writers(first: Holder, second: Holder) -> None:
    """All writes of the first were confirmed before any of the second was begun, on the clock and in the API server's own order."""
    assert max(confirmed for _, confirmed, _ in first.writes) <= min(begun for begun, _, _ in second.writes)
    assert max(version for _, _, version in first.writes) < min(version for _, _, version in second.writes)


def empty_lease(ns: Namespace) -> None:
    """Install the lease as the chart does: the first start need not wait then."""
    ns.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "holder"}})


def test_another_process_takes_over_within_twenty_seconds_of_a_kill(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    empty_lease(ns)
    with holders(cluster, ns, tmp_path) as start:
        first = start("first")
        wait(lambda: first.writes, seconds=10)
        second = start("second")
        written = len(first.writes)
        # The second has seen the record of the first, and the first goes on.
        wait(lambda: len(first.writes) > written + 100, seconds=30)
        assert not second.writes
        killed_at = first.send(signal.SIGKILL)
        wait(lambda: second.writes, seconds=TAKE_OVER_SECONDS)
        taken_after = second.writes[0][0] - killed_at
        print(f"taken over {taken_after:.1f} s after the kill")  # noqa: T201 - a figure people ask for
        # It would be wrong to be faster than the lease lasts: the first may have had a write on its way.
        assert 12 - 2.5 < taken_after < TAKE_OVER_SECONDS
        assert_never_two_writers(first, second)


def test_a_process_that_was_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    empty_lease(ns)
    with holders(cluster, ns, tmp_path) as start:
        first = start("first")
        wait(lambda: first.writes, seconds=10)
        second = start("second")
        first.send(signal.SIGSTOP)
        wait(lambda: second.writes, seconds=TAKE_OVER_SECONDS + 5)
        first.send(signal.SIGCONT)
        assert first.process.wait(timeout=10) == LOST
        # What was on its way when the process stopped was confirmed by then; only its notice of that is late.
        begun, versions = zip(*[(begun, version) for begun, _, version in first.writes], strict=True)
        assert max(begun) < second.writes[0][0]
        assert max(versions) < second.writes[0][2]


def test_a_process_that_ends_cleanly_leaves_the_lease_to_the_next_at_once(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    with holders(cluster, ns, tmp_path) as start:
        # No lease is installed: it is made, and waited for.
        first = start("first")
        wait(lambda: first.writes, seconds=20)
        second = start("second")
        written = len(first.writes)
        wait(lambda: len(first.writes) > written + 50, seconds=30)
        ended_at = first.send(signal.SIGTERM)
        assert first.process.wait(timeout=10) == 0
        wait(lambda: second.writes, seconds=10)
        assert second.writes[0][0] - ended_at < 6
        assert_never_two_writers(first, second)
