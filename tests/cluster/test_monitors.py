"""A release changes while it serves: a monitor hears it from a real Prometheus, and the baseline serves again before anybody is awake."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from e2e.cluster import Cluster
from tests.cluster.canary_story import ANSWER_SECONDS, BASELINE, CANDIDATE, PORT, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace, Object
from tests.cluster.prometheus import Prometheus
from tests.cluster.watched_story import Watched, scrape

SECONDS = 40
LEAD_SECONDS = 120
"""A process that was killed holds the Lease for 15 s more, and the next one has to start."""


def no_answer_counted_twice(fetched: Object, given: int) -> None:
    """What users were answered is normal, and no more of it was taken in than was pushed."""
    normal = json.loads(fetched["spec"]["reference"]["mean"])
    assert (normal["mean"], "findings" in fetched["status"]) == (1.0, False)
    assert normal["n"] >= 20
    assert normal["n"] + fetched["status"]["observations"] <= given


def test_a_release_that_drifts_is_found_out_and_rolled_back_though_the_controller_is_killed(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    image = sluice_image(cluster)
    with Prometheus(cluster, tmp_path / "prometheus") as prometheus, Controller(cluster, tmp_path) as installed:

        def lead(identity: str) -> Process:
            process = installed.start(identity, prometheus_url=prometheus.url, scorer_image=image)
            process.wait_said("lease sluice-controller: held by", seconds=LEAD_SECONDS)
            return process

        process = lead("controller-0")
        first = Watched(ns, image, prometheus, release=BASELINE, baseline=None)
        first.platform()
        ns.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "churn-token"}, "stringData": {"token": "a-token-of-this-test"}})
        ns.apply(first.suite())
        first.prove()
        first.roll_out()
        ports = [{"port": 80, "targetPort": PORT}]
        ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"}, "spec": {"selector": {"app": "churn"}, "ports": ports}})
        scrape(prometheus, first)
        with first.users(pause=0.1) as users:
            # 1. What the baseline does is known: it is what it did itself, as it has none.
            first.until(lambda: "reference" in first.monitor()["spec"])
            first.until(lambda: first.monitor("accuracy")["status"].get("observations", 0) > 0, seconds=120)
            probed = first.monitor("accuracy")
            first.until(lambda: first.monitor("answers")["status"].get("observations", 0) > 0, seconds=120)
            fetched, given = first.monitor("answers"), first.answers_pushed()
            # 2. The candidate serves, and is held against what the baseline did.
            candidate = Watched(ns, image, prometheus, release=CANDIDATE, baseline=BASELINE)
            candidate.roll_out()
            scrape(prometheus, first, candidate)
            candidate.until(lambda: candidate.monitor()["status"].get("observations", 0) > 0)
            watched = candidate.monitor()
            assert watched["status"]["phase"] == "Watching", watched["status"]
            # 3. It begins to refuse every second answer. The controller is killed between what it finds and what follows.
            drifted = time.monotonic()
            for address in candidate.pods():
                urllib.request.urlopen(f"http://{address}/drift", data=b"{}", timeout=ANSWER_SECONDS).close()
            process.wait_said("which asks for RollBack", seconds=SECONDS)
            process.kill()
            found = candidate.monitor()
            lead("controller-1")
            candidate.wait_phase("RolledBack")
            candidate.until(lambda: candidate.pods() == {}, seconds=SECONDS)
            gone_after = time.monotonic() - drifted
        (finding,) = found["status"]["findings"]
        assert gone_after < LEAD_SECONDS
        assert (finding["cause"], finding["ask"]) == ("Drift", "RollBack")
        assert "refusals: rise to 0." in finding["message"]
        assert users["failed"] == 0, users
        assert '"mean":1.0' in probed["spec"]["reference"]["mean"]
        assert "findings" not in probed["status"]
        no_answer_counted_twice(fetched, given)
        assert len(ns.list("releasemonitors")) == 6
        assert candidate.monitor()["status"]["findings"] == [finding], "another process found nothing else"
        assert "findings" not in first.monitor()["status"]
