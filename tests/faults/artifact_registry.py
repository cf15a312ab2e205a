"""A registry that holds bundles, or misbehaves in one way at a time."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

Twist = Callable[[web.Request], web.StreamResponse | None]


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class ArtifactRegistry:
    """`api`: whether it has the referrers API; `twist` answers first, where it answers at all."""

    address: str = ""
    api: bool = True
    account: str | None = None
    twist: Twist = lambda _request: None
    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    referrers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def add(self, subject: str, bundle: bytes, *, media_type: str = BUNDLE, **fields: Any) -> str:  # noqa: ANN401 - members of the manifest
        """Push a bundle that refers to `subject`; gives the digest of its manifest."""
        layer = {"mediaType": media_type, "digest": digest_of(bundle), "size": len(bundle)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": media_type, "layers": [layer], **fields}).encode()
        self.documents[digest_of(bundle)] = ("application/octet-stream", bundle)
        self.documents[digest_of(manifest)] = (MANIFEST, manifest)
        entry = {"mediaType": MANIFEST, "digest": digest_of(manifest), "size": len(manifest), "artifactType": media_type}
        self.referrers.setdefault(subject, []).append(entry)
        return digest_of(manifest)

    def index(self, subject: str) -> bytes:
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.referrers.get(subject, [])}).encode()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        self.seen.append((request.path, authorization))
        if request.path == "/token":
            right = authorization == "Basic " + base64.b64encode((self.account or "").encode()).decode()
            return web.json_response({"token": "token-1"} if right else {}, status=200 if right else 401)
        twisted = self.twist(request)
        if twisted is not None:
            return twisted
        if self.account is not None and authorization != "Bearer token-1":
            return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{self.address}/token",service="r"'})
        name = request.path.rsplit("/", 1)[-1]
        if "/referrers/" in request.path:
            return web.Response(body=self.index(name), content_type=INDEX) if self.api else web.Response(status=404)
        if name.startswith("sha256-"):
            subject = name.replace("-", ":", 1)
            return web.Response(body=self.index(subject), content_type=INDEX) if subject in self.referrers and not self.api else web.Response(status=404)
        media_type, content = self.documents.get(name, ("", b""))
        return web.Response(body=content, content_type=media_type) if media_type else web.Response(status=404)


@asynccontextmanager
async def serving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[ArtifactRegistry]:
    found, application = ArtifactRegistry(), web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    found.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()
