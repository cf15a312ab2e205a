"""The cluster that the demo runs on: the embedded one, or an existing one (`KUBE_CONTEXT`), seen through kubectl, helm and a registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import Cluster, Narrator, StepFailed
from e2e.cluster.api_server import ApiServer, Object, Person
from e2e.cluster.build import Binaries
from e2e.cluster.local import down as take_down
from e2e.demo.manifests import NAMESPACE
from sluice.api.kinds import KINDS
from sluice.api.names import GROUP

NAME = "sluice-demo"
SYSTEM = "sluice-system"
DEMO_LABEL = f"{GROUP}/demo"
"""On the namespace of a Sluice that the demo has installed, in a cluster that it found: only such a one is upgraded or removed by it."""
WAIT_SECONDS = 180.0
COMMAND_SECONDS = 300.0
LAST_LINES = 20


class Target:
    """A cluster, and the means to speak to it."""

    def __init__(self, *, binaries: Binaries, access: list[str], cluster: Cluster | None, registry: str) -> None:
        """Describe it; `Target.up` is the way here."""
        self._binaries, self._access, self._cluster, self.registry = binaries, access, cluster, registry
        # Of Kubernetes nothing is built for a cluster that exists.
        self._kubectl = str(binaries["kubectl"]) if cluster else "kubectl"
        self._proxy: subprocess.Popen[str] | None = None
        self._api = ApiServer(lambda seconds: HTTPConnection(self.proxy(), timeout=seconds))

    @classmethod
    def up(cls, narrator: Narrator) -> Target:
        """Bring the embedded cluster up, or take the one that `KUBE_CONTEXT` names."""
        context = os.environ.get("KUBE_CONTEXT")
        if not context:
            cluster = Cluster.up(NAME, narrator=narrator)
            return cls(binaries=cluster.binaries, access=[f"--kubeconfig={cluster.kubeconfig}"], cluster=cluster, registry=cluster.registry)
        registry = os.environ.get("REGISTRY")
        if not registry:
            message = "KUBE_CONTEXT needs REGISTRY=host[:port][/prefix] too: a registry that you may push to and the cluster pulls from"
            raise StepFailed(message)
        return cls.existing(context, narrator, registry=registry)

    @classmethod
    def existing(cls, context: str, narrator: Narrator, *, registry: str = "") -> Target:
        """Take the cluster that `context` names. Raises StepFailed when it cannot be reached, or has a Sluice that the demo did not install."""
        if not shutil.which("kubectl"):
            message = "KUBE_CONTEXT names a cluster of yours, and there is no kubectl on PATH to reach it with"
            raise StepFailed(message)
        target = cls(binaries=Binaries(narrator), access=[f"--context={context}"], cluster=None, registry=registry)
        found = target.kubectl("get", "namespace", SYSTEM, "--ignore-not-found", "-o", "json").stdout
        if found.strip() and (json.loads(found)["metadata"].get("labels") or {}).get(DEMO_LABEL) != "true":
            message = (
                f"there is a namespace {SYSTEM} on {context} that is not the demo's: it would replace the Sluice there, and its policies. Use another cluster; "
                f"if it is left from the demo after all: kubectl --context={context} label namespace {SYSTEM} {DEMO_LABEL}=true"
            )
            raise StepFailed(message)
        return target

    @property
    def access(self) -> str:
        """The flags that point kubectl here, to be shown to people."""
        return " ".join(self._access)

    def push(self, archive: Path, repository: str) -> str:
        """Push an image archive; return its reference by digest."""
        if self._cluster:
            return self._cluster.load_image(archive, repository=repository)
        target = f"{self.registry}/{repository}"
        return self._run([str(self._binaries["crane"]), "push", str(archive), target]).stdout.strip().splitlines()[-1]

    def kubectl(self, *arguments: str, person: Person | None = None, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the administrator or as somebody else."""
        identity = [f"--as={person.user}", *(f"--as-group={group}" for group in person.groups)] if person else []
        return self._run([self._kubectl, *self._access, *identity, *arguments], stdin=stdin, check=check)

    def apply(self, *items: dict[str, Any], person: Person | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Apply objects."""
        return self.kubectl("apply", "-f", "-", person=person, stdin=yaml.safe_dump_all(items), check=check)

    def get(self, kind: str, name: str) -> Object:
        """Read one object of the demo, by the words that kubectl knows."""
        return self._api.get(kind, name, namespace=NAMESPACE)

    def every(self, kind: str, *, selector: str = "") -> list[Object]:
        """Read all objects of a kind that the demo has made."""
        return self._api.list(kind, namespace=NAMESPACE, selector=selector)

    def helm(self, *arguments: str) -> None:
        """Run helm."""
        flags = [flag.replace("--context=", "--kube-context=") for flag in self._access]
        self._run([str(self._binaries["helm"]), *flags, *arguments])

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this checkout's `sluice`, as somebody who may read releases."""
        command = Path(sys.executable).parent / "sluice"
        return self._run([str(command), *arguments, *self._access])

    def mark(self, namespace: str) -> None:
        """Make a namespace that is known to be the demo's."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {DEMO_LABEL: "true"}}})

    def last_words(self) -> str:
        """What the cluster said last, for somebody who wants to know why the demo broke off: events, and the ends of Sluice's logs."""
        shown = (
            ("get", "events", f"--namespace={NAMESPACE}", "--sort-by=.lastTimestamp"),
            ("logs", f"--namespace={SYSTEM}", "--selector=app.kubernetes.io/component=controller", "--tail=10", "--prefix"),
            ("logs", f"--namespace={SYSTEM}", "--selector=app.kubernetes.io/component=webhook", "--tail=5", "--prefix"),
        )
        parts = []
        for arguments in shown:
            done = self.kubectl(*arguments, check=False)
            lines = (done.stdout or done.stderr).strip().splitlines()[-LAST_LINES:]
            parts.append("\n".join([f"kubectl {' '.join(arguments)}", *(f"  | {line}" for line in lines)]))
        return "\n".join(parts)

    def forget(self) -> None:
        """Begin to remove what the last run made. Its Pods have no users left to wait for."""
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        self.kubectl("delete", "pods", "--all", f"--namespace={NAMESPACE}", "--grace-period=0", "--force", "--wait=false")

    def proxy(self) -> str:
        """Give host and port of a `kubectl proxy` on loopback: it reaches every cluster that kubectl reaches, without the cost of starting it each time."""
        if self._proxy is None or self._proxy.poll() is not None:
            # It ends with this program, however that ends.
            command = ["setpriv", "--pdeathsig", "TERM", self._kubectl, *self._access, "proxy", "--port=0"]
            self._proxy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            line = self._proxy.stdout.readline() if self._proxy.stdout else ""
            if not line:
                message = "kubectl proxy does not start"
                raise StepFailed(message)
            self._address = line.split()[-1]
        return self._address

    def wait(self, what: str, condition: Any, *, seconds: float = WAIT_SECONDS) -> Any:  # noqa: ANN401 - whatever the condition gives
        """Wait until `condition()` gives something; say what did not happen otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.1)
        events = self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", check=False).stdout.splitlines()[-20:]
        message = f"{what}: not within {seconds:.0f} s. Last events:\n" + "\n".join(f"  | {line}" for line in events)
        raise StepFailed(message)

    @staticmethod
    def _run(command: list[str], *, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        shown = " ".join(Path(part).name if part.startswith("/") else part for part in command)
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin or "", timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired as error:
            message = f"{shown}\nno end after {COMMAND_SECONDS:.0f} s"
            raise StepFailed(message) from error
        if check and done.returncode:
            message = f"{shown}\n{(done.stderr or done.stdout).strip()}"
            raise StepFailed(message)
        return done


def down(narrator: Narrator) -> None:
    """Remove everything the demo made: the embedded cluster, or what was put into the one that `KUBE_CONTEXT` names."""
    context = os.environ.get("KUBE_CONTEXT")
    if not context:
        take_down(NAME, narrator=narrator)
        return
    target = Target.existing(context, narrator)
    target.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    target.kubectl("delete", "mrp/production", "mtr/ci", "--ignore-not-found", check=False)
    target.helm("uninstall", "sluice", "--namespace", SYSTEM, "--ignore-not-found", "--wait")
    target.kubectl("delete", "crds", *(f"{kind.plural}.{GROUP}" for kind in KINDS), "--ignore-not-found")
    target.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found")
    narrator.say("what the demo made is gone from the cluster; its images stay in your registry")
