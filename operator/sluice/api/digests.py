"""The digests that people sign off, and that runs are pinned by.

All are SHA-256 over canonical JSON: members sorted, no spaces, UTF-8, no floating point numbers (the models have none, so RFC 8785 and this agree).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluice.api.approval import WaiverSpec
    from sluice.api.monitor import MonitorSpec
    from sluice.api.release import ReleaseSpec
    from sluice.api.scoring import Cases, SuiteSpec


def release_digest(*, namespace: str, name: str, spec: ReleaseSpec) -> str:
    """Digest over the identity of a release: where it lives, its name and its whole spec.

    The namespace and name are in it, so that a sign-off cannot be carried to a copy of the manifest elsewhere.
    """
    identity = {"namespace": namespace, "name": name, "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return _digest(identity)


def evidence_digest(bundles: Iterable[str]) -> str:
    """Digest over the set of bundle digests that a verdict used; their order does not matter."""
    return _digest(sorted(set(bundles)))


def waiver_digest(*, name: str, spec: WaiverSpec) -> str:
    """Digest over a waiver as somebody asked for it: its name and its whole spec, with who asked. The release digest in it says where."""
    return _digest({"name": name, "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)})


def suite_digest(spec: SuiteSpec) -> str:
    """Digest over what a suite asks, how, and what it counts; the same cases have the same digest in whatever place they are kept.

    Names and namespaces are not in it: a policy pins one digest for all namespaces that it selects.
    """
    identity = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _digest(identity | {"cases": spec.cases.recorded or cases_digest(spec.cases)})


def monitor_digest(spec: MonitorSpec) -> str:
    """Digest over what is watched: the release, who asks, and the monitor as the policy has it. The reference is not in it: it is learned later."""
    return _digest(spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"reference"}))


def cases_digest(cases: Cases) -> str:
    """SHA-256 of the file of cases.

    Raises ValueError: a suite of recorded pairs has none of its own; or the cases are in no place, which the API server refuses.
    """
    if cases.inline is not None:
        return "sha256:" + hashlib.sha256(cases.inline.encode()).hexdigest()
    if cases.config_map is not None:
        return cases.config_map.digest
    if cases.oci is not None:
        return cases.oci.digest
    if cases.recorded is not None:
        raise ValueError("spec.cases: pairs are recorded anew for each candidate, so the suite names no file")
    raise ValueError("spec.cases: set exactly one of inline, configMap, oci, recorded")


def _digest(value: Any) -> str:  # noqa: ANN401 - any JSON value
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
