"""The images as Pods: what is built is what runs, as nobody, on a file system that cannot be written."""

import json
import os
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import Cluster, Narrator
from e2e.demo.model import Trained, trained
from e2e.images import build_model, build_model_server, build_sluice
from tests.cluster.namespace import Namespace

HARDENED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
LOOK_AROUND = """\
import os, sluice.cli
print(os.getuid(), os.getgid(), sluice.__version__)
for folder in ("/", "/etc", "/tmp", "/opt/sluice/src"):
    try:
        open(os.path.join(folder, "written"), "w")
    except OSError as error:
        print(error.strerror)
"""


def pod(name: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a Pod
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"automountServiceAccountToken": False, **spec}}


@pytest.fixture(scope="package")
def digits() -> Trained:
    """The demo's model, trained and evaluated (from the cache after the first time)."""
    return trained("1.0.0", narrator=Narrator())


def test_the_sluice_image_runs_as_nobody_and_needs_no_writable_file_system(cluster: Cluster, ns: Namespace) -> None:
    image = build_sluice(narrator=Narrator())
    reference = cluster.load_image(image.layout, repository="sluice")
    assert reference.endswith(f"@{image.digest}")

    containers = [
        {"name": "entrypoint", "image": reference, "args": ["--help"], "securityContext": HARDENED},
        {"name": "inside", "image": reference, "command": ["python3", "-c", LOOK_AROUND], "securityContext": HARDENED},
    ]
    ns.apply(pod("look", restartPolicy="Never", containers=containers))
    ns.wait("pod", "look", lambda item: item["status"].get("phase") in {"Succeeded", "Failed"})

    helped, looked = (ns.kubectl("logs", "look", "-c", container).stdout for container in ("entrypoint", "inside"))
    assert "controller" in helped
    assert "webhook" in helped
    who, *answers = looked.splitlines()
    assert who.startswith("65532 65532 ")
    assert answers == ["Read-only file system"] * 4


def test_a_model_image_has_the_same_digest_whenever_and_wherever_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    first.mkdir()
    (first / "model-settings.json").write_text('{"name": "tiny"}', encoding="utf-8")
    (first / "model.safetensors").write_bytes(bytes(range(256)))
    shutil.copytree(first, again)
    for file in again.iterdir():
        os.utime(file, (1, 1))
        file.chmod(0o600)

    digests = []
    for folder in (first, again):
        # A cache of its own: nothing is found, everything is built.
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{folder.name}"))
        digests.append(build_model("tiny", "1", folder, narrator=Narrator()).digest)
    assert digests[0] == digests[1]
    assert str(tmp_path) not in Path("/proc/mounts").read_text(encoding="utf-8"), "a build left a mount behind"

    (again / "model.safetensors").write_bytes(bytes(range(255)))
    assert build_model("tiny", "1", again, narrator=Narrator()).digest != digests[0]


def test_a_served_model_answers_a_prediction(cluster: Cluster, ns: Namespace, digits: Trained) -> None:
    model = cluster.load_image(build_model("digits", "1.0.0", digits.folder, narrator=Narrator()).layout, repository="digits")
    server = cluster.load_image(build_model_server(narrator=Narrator()).layout, repository="model-server")
    weights, scratch = {"name": "model", "mountPath": "/mnt/models"}, {"name": "tmp", "mountPath": "/tmp"}
    ready = {"httpGet": {"path": "/v2/models/digits/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 120}
    ns.apply(
        pod(
            "digits",
            initContainers=[{"name": "model", "image": model, "securityContext": HARDENED, "volumeMounts": [weights]}],
            containers=[
                {
                    "name": "server",
                    "image": server,
                    "securityContext": HARDENED,
                    "volumeMounts": [weights | {"readOnly": True}, scratch],
                    "readinessProbe": ready,
                }
            ],
            volumes=[{"name": "model", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        )
    )
    ns.kubectl("wait", "pod/digits", "--for=condition=Ready", "--timeout=180s")
    address = ns.kubectl("get", "pod/digits", "-o", "jsonpath={.status.podIP}").stdout

    question = {"inputs": [{"name": "predict", "shape": [1, 64], "datatype": "FP32", "data": digits.held_out[0].image}]}
    request = urllib.request.Request(
        f"http://{address}:8080/v2/models/digits/infer", data=json.dumps(question).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the Pod's address
        answer = json.load(response)

    assert (answer["model_name"], answer["model_version"]) == ("digits", "1.0.0")
    assert answer["outputs"][0]["data"] == [digits.held_out[0].label]
