"""The cluster as tests and the demo see it: bring it up, talk to it, take it down.

`up` states what should be there and makes the difference, so it is idempotent, continues where a killed one stopped, and restarts a program
whose configuration or binary changed.
"""

import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from e2e.cluster import build, cgroups, control_plane, host, images, network, node, pki, place, probe
from e2e.cluster.narrate import Narrator, StepFailed
from e2e.cluster.sandbox import Component, Sandbox, kill, processes, wait_until

DEFAULT_NAME = "sluice"
API_SECONDS = 90.0
NODE_SECONDS = 90.0
KUBECTL_SECONDS = 120


class Cluster:
    """A local cluster that is up."""

    def __init__(self, location: place.Place, *, narrator: Narrator | None = None) -> None:
        """Describe the cluster that lives at `location`; `Cluster.up` and `Cluster.find` are the ways here."""
        self.place = location
        self.narrator = narrator or Narrator(quiet=True)
        self.sandbox = Sandbox(location)
        self.binaries = build.Binaries(self.narrator)

    @classmethod
    def up(cls, name: str = DEFAULT_NAME, *, audit: bool | None = None, narrator: Narrator | None = None) -> "Cluster":
        """Bring the cluster up, or make sure that it is. Raises StepFailed with the step and the log's last lines.

        `audit` switches audit logging on or off; None leaves it as it is, off for a new cluster.
        """
        narrator = narrator or Narrator()
        build.cache_folder().mkdir(parents=True, exist_ok=True)
        host.prepare(log=build.cache_folder() / "packages.log", narrator=narrator)
        build.build(build.CLUSTER_UNITS, narrator=narrator)
        with place.alone(name):
            cluster = cls(place.find_or_choose(name), narrator=narrator)
            cluster._bring_up(audit=cluster._remember_audit(wanted=audit))
        return cluster

    @classmethod
    def find(cls, name: str = DEFAULT_NAME, *, narrator: Narrator | None = None) -> "Cluster":
        """Give the running cluster of that name. Raises StepFailed when there is none."""
        location = place.find(name)
        if location is None or Sandbox(location).init is None:
            raise StepFailed(f"cluster {name} is not running: `python -m e2e.cluster up --name {name}`")
        return cls(location, narrator=narrator)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.place.name

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the administrator (group system:masters)."""
        return self.place.kubeconfig

    @property
    def registry(self) -> str:
        """`host:port` of the registry, for image references as well as for clients on the host; plain HTTP."""
        return self.place.registry

    @cached_property
    def images(self) -> Mapping[str, str]:
        """Images that every cluster has, as references by digest: `busybox`, which sleeps unless told otherwise."""
        images_by_name: dict[str, str] = json.loads((self.place.folder / "images.json").read_text(encoding="utf-8"))
        return images_by_name

    @property
    def audit_log(self) -> Path:
        """Audit events, one JSON object a line, while auditing is on."""
        return control_plane.audit_log(self.place)

    def log(self, component: str) -> Path:
        """Path of a component's log. Raises StepFailed, with the names there are, for a component that has none."""
        path = self.place.logs / f"{component}.log"
        if not path.exists():
            known = ", ".join(sorted(log.stem for log in self.place.logs.glob("*.log")))
            raise StepFailed(f"no log of {component!r}; there are: {known}")
        return path

    def user_kubeconfig(self, user: str, *, groups: Sequence[str] = ()) -> str:
        """Make a kubeconfig in which `user`, a member of `groups`, is known by a client certificate. It grants nothing by itself."""
        return pki.user_kubeconfig(self.place, user, groups=groups)

    def kubectl(
        self,
        *arguments: str,
        as_user: str | None = None,
        groups: Sequence[str] = (),
        stdin: str | None = None,
        check: bool = True,
        timeout_seconds: float = KUBECTL_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or as somebody else by impersonation.

        With `check`, raises StepFailed with what kubectl said; without, the caller reads `returncode`, `stdout` and `stderr`.
        """
        identity = ([f"--as={as_user}"] if as_user else []) + [f"--as-group={group}" for group in groups]
        done = subprocess.run(
            [self.binaries["kubectl"], f"--kubeconfig={self.kubeconfig}", *identity, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin if stdin is not None else "",
            timeout=timeout_seconds,
        )
        if check and done.returncode:
            raise StepFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def load_image(self, source: str | Path, *, repository: str | None = None) -> str:
        """Push an image into the registry and give its reference by digest; see `images.push` for what `source` may be."""
        return images.push(source, place=self.place, crane=self.binaries["crane"], repository=repository)

    def down(self) -> None:
        """Take the cluster down, with everything that it wrote."""
        down(self.name, narrator=self.narrator)

    def components(self) -> list[Component]:
        """List the programs of the cluster in the order of their start, as they should run."""
        audit = (self.place.folder / "audit").exists()
        return [
            control_plane.etcd(self.place, self.binaries["etcd"]),
            control_plane.api_server(self.place, self.binaries["kube-apiserver"], audit=audit),
            node.containerd(self.place, self.binaries["containerd"], self.binaries["containerd-shim-runc-v2"]),
            node.registry(self.place, self.binaries["registry"]),
            control_plane.controller_manager(self.place, self.binaries["kube-controller-manager"]),
            control_plane.scheduler(self.place, self.binaries["kube-scheduler"]),
            node.dns(self.place, self.binaries["coredns"]),
            node.proxy(self.place, self.binaries["kube-proxy"]),
            node.kubelet(self.place, self.binaries["kubelet"]),
        ]

    def problems(self) -> list[str]:
        """Say what keeps the cluster from working; nothing when it works."""
        if self.sandbox.init is None:
            return ["not running"]
        found = [f"{component.name} does not run as configured" for component in self.components() if not self.sandbox.running(component)]
        if not probe.answers(f"http://{self.registry}/v2/"):
            found.append(f"registry {self.registry} does not answer")
        if not probe.answers(f"http://{self.place.node_address}:{node.DNS_READY_PORT}/ready"):
            found.append("the DNS server is not ready")
        api = probe.ApiServer(self.place)
        if not api.ready():
            found.append(f"API server {self.place.api} is not ready")
        elif not api.node_ready():
            found.append("the node is not Ready")
        return found

    def memory_bytes(self) -> dict[str, int]:
        """Memory of each component: its share of resident pages, container shims counted with containerd."""
        total: dict[str, int] = {}
        for process in processes(self.place.folder):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
                kibibytes = next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
                total[process.component] = total.get(process.component, 0) + kibibytes * 1024
        return total

    def _remember_audit(self, *, wanted: bool | None) -> bool:
        marker = self.place.folder / "audit"
        if wanted is True:
            marker.touch()
        elif wanted is False:
            marker.unlink(missing_ok=True)
        return marker.exists()

    def _bring_up(self, *, audit: bool) -> None:
        say = self.narrator
        components = {component.name: component for component in self.components()}
        # 1. A place to run: keys, namespaces, cable, cgroup. New namespaces mean a node that has no past.
        with say.step(f"prepare cluster {self.name} (state: {self.place.folder}; audit {'on' if audit else 'off'})"):
            pki.ensure(self.place)
            if self.sandbox.init is None:
                shutil.rmtree(self.place.folder / "node", ignore_errors=True)
                # Whatever a half-started sandbox left behind.
                kill(self.place.folder, lambda _: True)
                network.wait_until_gone(self.place, log=self.place.logs / "network.log")
            self.sandbox.ensure()
            network.connect(self.place, self.sandbox)
            cgroups.create(self.place)
        # 2. Everything that does not need the API server, which needs etcd only and waits for it by itself.
        with say.step(f"start the API server (log: {self.place.logs / 'kube-apiserver.log'})"):
            for name in ("etcd", "kube-apiserver", "containerd", "registry"):
                self.sandbox.start(components[name])
            api = probe.ApiServer(self.place)
            with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
                loaded = pool.submit(self._load_own_images)
                self._wait("kube-apiserver", api.ready, seconds=API_SECONDS, failure="the API server is not ready")
                loaded.result()
        # 3. The rest, and what an installer would have put into the API server.
        with say.step(f"wait for the node (log: {self.place.logs / 'kubelet.log'})"):
            for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns"):
                self.sandbox.start(components[name])
            base = {"apiVersion": "v1", "kind": "List", "items": control_plane.base_objects(self.place)}
            self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=sluice-local", "--filename=-", stdin=json.dumps(base))
            self._wait("kubelet", api.node_ready, seconds=NODE_SECONDS, failure="the node is not Ready")
            dns_ready = f"http://{self.place.node_address}:{node.DNS_READY_PORT}/ready"
            self._wait("coredns", lambda: probe.answers(dns_ready), seconds=NODE_SECONDS, failure="the DNS server is not ready")
            self._wait("kube-controller-manager", api.accounts_exist, seconds=NODE_SECONDS, failure="there is no default service account")
        say.say(f"cluster {self.name} is up: {self.place.api}, registry {self.registry}, kubeconfig {self.kubeconfig}")

    def _load_own_images(self) -> None:
        """Give containerd its pause image and the registry the test image."""
        socket = Path(f"/proc/{self.sandbox.init}/root{node.CONTAINERD_SOCKET}")
        self._wait("containerd", socket.exists, seconds=API_SECONDS, failure="containerd does not answer")
        self._wait("registry", lambda: probe.answers(f"http://{self.registry}/v2/"), seconds=API_SECONDS, failure="the registry does not answer")
        with tempfile.TemporaryDirectory(dir=self.place.folder, prefix="images-") as scratch:
            pause, busybox = Path(scratch) / "pause.tar", Path(scratch) / "busybox.tar"
            sleep = ["/bin/sleep", "infinity"]
            images.write_busybox_archive(pause, tag=node.PAUSE_IMAGE, command=sleep)
            images.write_busybox_archive(busybox, tag="busybox:latest", command=sleep)
            importing: list[str | Path] = [self.binaries["ctr"], "--address", node.CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import", pause]
            self.sandbox.run(*importing, log=self.place.logs / "images.log")
            place.write_whole(self.place.folder / "images.json", json.dumps({"busybox": self.load_image(busybox)}))

    def _wait(self, component: str, condition: Callable[[], bool], *, seconds: float, failure: str) -> None:
        wait_until(condition, seconds=seconds, failure=failure, log=self.place.logs / f"{component}.log")


def down(name: str, *, narrator: Narrator) -> None:
    """Take a cluster down, whatever state it is in: running, half started, or bereft of its state folder."""
    folder = place.folder_of(name)
    log = Path(os.devnull)
    with narrator.step(f"take cluster {name} down"), place.alone(name):
        location = place.find(name)
        # 1. The first process, and with it the kernel ends the others. Then whatever stood at the door when that happened.
        kill(folder, lambda _: True)
        # 2. What the kernel takes away by itself, a moment later.
        if location is not None:
            network.wait_until_gone(location, log=log)
        # 3. What it does not.
        cgroups.remove(name)
        shutil.rmtree(folder)
