"""The admission policies of L0 and the rights of Sluice's parts, as the chart installs them: there for every module of tests that wants them.

To install them and to take them away costs six core-seconds, and the API server some more until it acts on it. So they stay where they are until
somebody needs a cluster without.
"""

from __future__ import annotations

import functools
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster import Cluster, StepFailed
from e2e.cluster.api_server import ApiServer
from sluice.api.names import CONTROLLER as NAME
from sluice.api.names import GOVERN_LABEL, RELEASE_LABEL
from tests.cluster.namespace import Namespace

ROOT: Final = Path(__file__).parents[2]
HOME: Final = "sluice-system"
CONTROLLER: Final = f"system:serviceaccount:{HOME}:{NAME}"
DIGEST: Final = "sha256:" + "5" * 64
PARTS: Final = (
    "rbac", "lease", "policies-pods", "policies-owners", "policies-people", "policies-canaries", "policies-monitors", "policies-drills",
)  # fmt: skip

Object = dict[str, Any]

_EFFECTIVE_SECONDS: Final = 30
_GUARDED: Final = ("CanaryRun", "ReleaseApproval", "ReleaseWaiver", "ReleaseMonitor", "ReleaseDrill")
_there: dict[str, bool] = {}
"""Whether they are in a cluster, by its name; of others it is not known."""


@functools.cache
def install_crds(cluster: Cluster) -> None:
    """Our kinds exist, and stay: the API server compiles their rules for seconds, so it is asked once."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / 'crds'}")
    cluster.kubectl("wait", "--for=condition=Established", f"--filename={ROOT / 'crds'}", "--timeout=30s")


def install(cluster: Cluster) -> None:
    """They are there, and effective."""
    if _there.get(cluster.name):
        return
    install_crds(cluster)
    with closing(ApiServer.of(cluster)) as api:
        for obj in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}, *_parts(cluster)):
            api.apply(obj, namespace=obj["metadata"].get("namespace", HOME), field_manager="test")
    with Namespace(cluster, labels={GOVERN_LABEL: "true"}, prefix="probe") as probe:
        _wait(lambda: _is_stamped(probe) and _is_guarded(probe), "effective")
    _there[cluster.name] = True


def remove(cluster: Cluster) -> None:
    """They are not there, and effective no more: nothing but the schemas of our kinds says what these may hold."""
    install_crds(cluster)
    if _there.get(cluster.name) is not False:
        with closing(ApiServer.of(cluster)) as api:
            for obj in reversed(_parts(cluster)):
                api.take_away(obj, namespace=HOME, seconds=0)
    examples = [yaml.safe_load((ROOT / "examples" / f"{kind}.yaml").read_text()) for kind in _GUARDED]
    with Namespace(cluster, labels={GOVERN_LABEL: "true"}, prefix="probe") as probe:
        _wait(lambda: all(_is_taken(probe, example) for example in examples) and _starts(probe), "gone")
    _there[cluster.name] = False


def disturbed(cluster: Cluster) -> None:
    """Somebody has changed or taken away some of them: the next who needs them installs them again."""
    _there.pop(cluster.name, None)


@functools.cache
def rendered(cluster: Cluster, *templates: str, namespace: str = HOME) -> str:
    """What the chart installs; all of it when no template is named."""
    image = ("--set=image.repository=registry.example.com/sluice", f"--set=image.digest=sha256:{'0' * 64}")
    only = [f"--show-only=templates/{template}.yaml" for template in templates]
    chart = str(ROOT / "charts/sluice")
    command = [str(cluster.binaries["helm"]), "template", "sluice", chart, f"--namespace={namespace}", "--kube-version=1.36.3", *image, *only]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def objects_of(manifests: str) -> list[Object]:
    """The objects of a text of manifests."""
    return [obj for obj in yaml.load_all(manifests, Loader=yaml.CSafeLoader) if obj]


def _parts(cluster: Cluster) -> list[Object]:
    return objects_of(rendered(cluster, *PARTS))


def _is_stamped(probe: Namespace) -> bool:
    """Whether the last of the mutating policies acts. The API server takes up all policies of a kind together."""
    approval = {
        "apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "probe"},
        "spec": {"release": {"name": "r"}, "releaseDigest": DIGEST, "evidenceDigest": DIGEST, "role": "r", "decision": "Approve"},
    }  # fmt: skip
    try:
        return "approver" in probe.create(approval, dry_run=True)["spec"]
    except StepFailed:
        # Refused for want of an approver while the validating policies are effective and the mutating ones not yet.
        return False


def _is_guarded(probe: Namespace) -> bool:
    """Whether the last of the validating policies acts."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}, "spec": {"clusterIP": "None"}}
    try:
        probe.create(service, as_user=CONTROLLER, dry_run=True)
    except StepFailed as refused:
        return "denied by sluice" in str(refused)
    return False


def _is_taken(probe: Namespace, example: Object) -> bool:
    """Whether anybody may make such an object, and nothing is written into it. Policies go one after the other, in whatever order."""
    obj = example | {"metadata": {"name": "probe"}}
    try:
        return "approver" not in probe.create(obj, dry_run=True)["spec"]
    except StepFailed:
        return False


def _starts(probe: Namespace) -> bool:
    """Whether a Pod and a Deployment that name a release are taken as they are."""
    metadata = {"name": "probe", "labels": {RELEASE_LABEL: "probe"}}
    spec = {"containers": [{"name": "probe", "image": "registry.example.com/probe"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    deployed = {"selector": {"matchLabels": metadata["labels"]}, "template": {"metadata": {"labels": metadata["labels"]}, "spec": spec}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployed}
    try:
        held = "schedulingGates" in probe.create(pod, dry_run=True)["spec"]
        return not held and "paused" not in probe.create(deployment, dry_run=True)["spec"]
    except StepFailed:
        return False


def _wait(condition: Callable[[], bool], what: str) -> None:
    """Ask, without changing anything."""
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed(f"the admission policies were not {what} after {_EFFECTIVE_SECONDS} s")
        time.sleep(0.1)
