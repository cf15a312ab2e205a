"""A real Prometheus on loopback, which scrapes what a test names: the server of the pinned module, with a data folder of the test's own."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from e2e.cluster import Cluster

SCRAPE = "250ms"
READY_SECONDS = 30


class Prometheus:
    """Gone at the end of the `with` block."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._program = cluster.binaries["prometheus"]
        self._folder = folder
        self._targets = folder / "targets.json"
        self._log = folder / "prometheus.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""

    def __enter__(self) -> Self:
        """Start it on a port that the system chooses."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.scrape({})
        jobs = [{"job_name": "models", "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}]}]
        config = {"global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}, "scrape_configs": jobs}
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._start(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it."""
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._address}"

    def stop(self) -> None:
        """No longer there; what it has stored stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def again(self) -> None:
        """Start it again where it was."""
        self._start(urllib.parse.urlsplit(self.url).port or 0)

    def scrape(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Scrape these from now on: address and port → labels."""
        content = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.rename(self._targets)

    def ask(self, promql: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        with urllib.request.urlopen(f"http://{self._address}/api/v1/query?{urllib.parse.urlencode({'query': promql})}", timeout=5) as response:
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result

    def _start(self, port: int) -> None:
        arguments = [
            f"--config.file={self._folder / 'prometheus.yml'}", f"--storage.tsdb.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            "--scrape.discovery-reload-interval=250ms",
        ]  # fmt: skip
        with self._log.open("ab") as log:
            began = log.tell()
            self._process = subprocess.Popen([self._program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers(began):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def _answers(self, began: int) -> bool:
        said = self._log.read_bytes()[began:].decode()
        listening = said.partition('msg="Listening on" component=web address=')[2]
        if not listening:
            return False
        self._address = listening.split()[0]
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=1) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False
