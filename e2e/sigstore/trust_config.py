"""Sigstore's ClientTrustConfig, for who signs keyless: where the services of an instance are, and what verifies them (`sigstore_trustroot.proto`)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

CLIENT_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"


def client_trust_config(trusted_root: dict[str, Any], *, fulcio: str, log: str, log_version: int = 2, timestamps: str | None, provider: str) -> str:
    """The text of one; the URLs are those of the services, of the timestamp authority the one that takes requests."""
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def service(url: str, version: int = 1) -> list[dict[str, Any]]:
        return [{"url": url, "majorApiVersion": version, "validFor": {"start": since}, "operator": "sluice private sigstore"}]

    signing = {
        "mediaType": SIGNING_CONFIG,
        "caUrls": service(fulcio),
        "oidcUrls": service(provider),
        "rekorTlogUrls": service(log, log_version),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [] if timestamps is None else service(timestamps),
        "tsaConfig": {"selector": "ANY"},
    }
    return json.dumps({"mediaType": CLIENT_TRUST_CONFIG, "trustedRoot": trusted_root, "signingConfig": signing}, indent=1)
