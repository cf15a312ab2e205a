"""A scoring Job that waits for its turn: Kueue, or a person, suspends it, lets it go on, and may suspend it again in the middle.

Only `spec.suspend` and the Job's status are read, which Kubernetes defines (batch/v1 JobSpec, "suspend"): no object of Kueue's is, and the Job is never written
after it was made. So nothing here depends on Kueue's version, and what it adds to the Job (labels, node selectors, tolerations) stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sluice.api.base import parse_time
from sluice.cluster.client import Object

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"


def begun(job: Object) -> datetime | None:
    """Tell since when the Pods of a Job may run, anew each time that it is let go on; None while they may not, or while its controller has not noticed."""
    started = (job.get("status") or {}).get("startTime")
    # Until the condition is taken back, the time may be that of before.
    return None if suspension(job) or not started else parse_time(started)


def suspension(job: Object) -> str:
    """Say, for people, that a Job is suspended, and where to look; empty when it is not."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    if not job["spec"].get("suspend") and not any(item.get("type") == "Suspended" and item.get("status") == "True" for item in conditions):
        return ""
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    queue = (job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    if not queue:
        return f"Job {name} is suspended, and waits in no queue: whoever suspended it has to let it go on"
    return f"Job {name} is suspended: its scorers wait for their turn in queue {queue}; kubectl get workloads -n {namespace} says for what"
