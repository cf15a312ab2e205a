"""How pytest-xdist shares the tests out: a file stays in one process, and unit tests stay in one that has no cluster.

A process that has a cluster mostly waits for it. So another computes meanwhile, instead of all of them at the end. The files of `tests/faults` and
`tests/property` need no cluster either: they stay small parts, which fill the gaps, and the last minute of every process. Only the process that computes
imports the unit tests: thousands, each time more than ten seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

COMPUTING = "tests/unit/"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave what computes to the first process, and to one that replaces another: xdist asks of it to know everything."""
    worker = getattr(config, "workerinput", None)
    if worker is None or int(worker["workerid"].removeprefix("gw")) not in range(1, worker["workercount"]):
        return None
    return True if f"{collection_path.relative_to(config.rootpath).as_posix()}/".startswith(COMPUTING) else None


class ByCluster(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """As `--dist loadfile` does it, where all unit tests count as one file, which one process has."""

    registered_collections: dict[WorkerController, list[str]]
    assigned_work: dict[WorkerController, dict[str, dict[str, bool]]]

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "computing" if file.startswith(COMPUTING) else file

    def _check_nodes_have_same_collection(self) -> bool:
        """They have not."""
        return True

    def schedule(self) -> None:
        """Begin with the process that has all: what it collected is what there is, and of too many processes the last are let go."""
        first = max(self.nodes, key=lambda node: len(self.registered_collections[node]))
        self.registered_collections = {first: self.registered_collections[first], **self.registered_collections}
        self.assigned_work = {first: self.assigned_work[first], **self.assigned_work}
        super().schedule()

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give the node the next part of which it has the tests, or let it go."""
        known = set(self.registered_collections[node])
        scope = next((scope for scope, unit in self.workqueue.items() if known.issuperset(unit)), None)
        if scope is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByCluster:
    """Schedule for xdist, whatever `--dist` says."""
    return ByCluster(config, log)
