"""One cluster for each process that runs tests, one namespace for each test.

The cluster is `sluice-test`, or `sluice-test-gw0` and so on where pytest-xdist shares the tests out: new for each run, taken down at its
end. While working on something, `SLUICE_TEST_KEEP=1` leaves it up and takes it as it is the next time, and `SLUICE_TEST_CLUSTER=name`
runs the tests on another local cluster, which is brought up if need be and never taken down.
"""

import fcntl
import os
from collections.abc import Iterator
from typing import Protocol

import pytest

from e2e.cluster import Cluster, Narrator
from e2e.cluster.build import cache_folder
from e2e.cluster.local import down
from tests.cluster.gate import crds, gate, governed, ungated
from tests.cluster.installation import remove
from tests.cluster.namespace import Namespace

__all__ = ["cluster", "crds", "gate", "governed", "ns", "ungated"]

OWN = "sluice-test"
NAME = "-".join(filter(None, (OWN, os.environ.get("PYTEST_XDIST_WORKER"))))

CHOSEN = os.environ.get("SLUICE_TEST_CLUSTER")
KEEP = os.environ.get("SLUICE_TEST_KEEP") == "1"
_at_work: set[str] = set()
"""Names of xdist's processes."""


class XdistGateway(Protocol):
    """Where a process of xdist is reached."""

    id: str


class XdistNode(Protocol):
    """A process of xdist, which has no types."""

    gateway: XdistGateway


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: XdistNode) -> None:
    """Note who may have a cluster."""
    _at_work.add(node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: XdistNode, error: object) -> None:
    """A process that died took nothing down: its cluster would run on beside that of its replacement."""
    _at_work.discard(node.gateway.id)
    if error is not None:
        _down(node.gateway.id)


def pytest_unconfigure() -> None:
    """Whom xdist ended because the run was interrupted took nothing down either."""
    while _at_work:
        _down(_at_work.pop())


def _down(process: str) -> None:
    if not CHOSEN and not KEEP:
        down(f"{OWN}-{process}", narrator=Narrator())


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster that is up. It goes with the last test of this folder: while others follow it would cost them a tenth of a core."""
    narrator = Narrator()
    if CHOSEN:
        chosen = Cluster.up(CHOSEN, narrator=narrator)
        yield chosen
        remove(chosen)
        return
    folder = cache_folder().parent
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / f"{NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit(f"another test run uses cluster {NAME}; SLUICE_TEST_CLUSTER=name runs the tests on a cluster of that name", returncode=4)
        if not KEEP:
            # What a killed run may have left: nothing to build on.
            down(NAME, narrator=narrator)
        own = Cluster.up(NAME, narrator=narrator)
        yield own
        if KEEP:
            remove(own)
        else:
            down(NAME, narrator=narrator)
    finally:
        os.close(handle)


@pytest.fixture
def ns(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace that is gone after the test, with the cluster-scoped objects that the test made through it."""
    with Namespace(cluster) as namespace:
        yield namespace
