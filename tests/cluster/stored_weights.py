"""A release whose evidence lies in the registry beside its image, and whose weights each Pod fetches for itself."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Final
from urllib.parse import urljoin

from tests.cluster.namespace import Namespace
from tests.cluster.story import Object, Story

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
FETCH: Final = "i=0; while [ $i -lt 100 ]; do printf weights; i=$((i+1)); done > /models/model.safetensors; printf '{}' > /models/config.json; $TAMPER"
"""Shell that writes what the signed list of the tests (`case.WEIGHTS_FILES`) has, and then something else."""


class StoredWeights(Story):
    """The server image is in a repository of its own, so that what others push beside it is not found."""

    def __init__(self, ns: Namespace) -> None:
        super().__init__(ns)
        self._base = f"http://{ns.cluster.registry}/v2/{ns.name}"
        subject = _ask(f"http://{ns.cluster.registry}/v2/busybox/manifests/{self.image_digest}")
        parts = json.loads(subject)
        for part in (parts["config"], *parts["layers"]):
            self._upload(_ask(f"http://{ns.cluster.registry}/v2/busybox/blobs/{part['digest']}"))
        _ask(f"{self._base}/manifests/{self.image_digest}", method="PUT", body=subject, media_type=str(parts["mediaType"]))
        self._subject = {"mediaType": parts["mediaType"], "digest": self.image_digest, "size": len(subject)}
        self.image = f"{ns.cluster.registry}/{ns.name}@{self.image_digest}"

    def release_object(self) -> Object:
        release = super().release_object()
        release["spec"]["artifacts"][0]["uri"] = "s3://models/churn/2.1.0"
        return release

    def refer(self, name: str) -> None:
        """A pipeline pushes one of the bundles beside the image."""
        bundle, empty = self.bundles[name], b"{}"
        for blob in (bundle, empty):
            self._upload(blob)
        layers = [{"mediaType": BUNDLE, "digest": _digest(bundle), "size": len(bundle)}]
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": _digest(empty), "size": len(empty)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "config": config, "layers": layers, "subject": self._subject}
        body = json.dumps(manifest).encode()
        _ask(f"{self._base}/manifests/{_digest(body)}", method="PUT", body=body, media_type=MANIFEST)

    def fetching_pod(self, name: str, *, tamper: str = "true") -> Object:
        """A Pod that fetches its weights, does with them what `tamper` says, and serves."""
        pod = self.pod(name)
        mount = {"name": "model", "mountPath": "/models"}
        pod["spec"]["volumes"] = [{"name": "model", "emptyDir": {}}]
        pod["spec"]["containers"][0]["volumeMounts"] = [mount | {"readOnly": True}]
        command = ["sh", "-c", FETCH.replace("$TAMPER", tamper)]
        pod["spec"]["initContainers"] = [{"name": "fetch", "image": self.image, "command": command, "volumeMounts": [mount]}]
        return pod

    def _upload(self, blob: bytes) -> None:
        request = urllib.request.Request(f"{self._base}/blobs/uploads/", method="POST")  # noqa: S310 - the cluster's registry
        with _OPENER.open(request, timeout=10) as response:
            at = urljoin(self._base, response.headers["Location"])
        _ask(f"{at}{'&' if '?' in at else '?'}digest={_digest(blob)}", method="PUT", body=blob, media_type="application/octet-stream")


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _ask(url: str, *, method: str = "GET", body: bytes | None = None, media_type: str = "") -> bytes:
    headers = {"Content-Type": media_type} if media_type else {"Accept": f"{MANIFEST}, */*"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - the cluster's registry
    with _OPENER.open(request, timeout=10) as response:
        content: bytes = response.read()
        return content


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()
