"""What the chart installs and people do not write: admission policies and CRDs.

`make chart` writes the checked-in templates; a test compares them.
CRDs are templates, and not in the chart's `crds/` folder, because Helm never updates what is there. They are kept when the chart is removed:
deleting a CRD deletes every object of its kind, and with it who approved what.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from sluice.api.crd import crd
from sluice.api.kinds import KINDS
from sluice.gate import canaries, drills, monitors, ourselves, owners, people, pods
from sluice.gate.policy import Installation, Manifest

HEADER: Final = "{{- /* Generated from operator/sluice by `make chart`. Do not edit. */ -}}\n"

HELM: Final = Installation(
    namespace="{{ .Release.Namespace }}",
    trusted_users="{{ .Values.namespaceGuard.users | toJson }}",
    trusted_groups="{{ .Values.namespaceGuard.groups | toJson }}",
)


def policies(installation: Installation) -> dict[str, list[Manifest]]:
    """Return what is guarded → the policies and bindings that do it."""
    return {
        "pods": [
            *pods.hold_pods(installation), *pods.hold_strict_pods(installation), *pods.guard_pods(installation),
        ],
        "owners": owners.pause_owners(installation),
        "canaries": [
            *canaries.guard_runs(installation), *canaries.guard_canary_pods(installation), *canaries.guard_canary_jobs(installation),
            *ourselves.guard_controller(installation),
        ],
        "drills": [*drills.guard_drill_pods(installation), *drills.guard_drill_services(installation), *drills.guard_scratch_services(installation)],
        "monitors": monitors.guard_monitors(installation),
        "people": [
            *people.stamp_approvals(), *people.guard_approvals(), *people.guard_revocations(installation), *people.guard_status(installation),
            *people.guard_namespaces(installation),
        ],
    }  # fmt: skip


def manifests(installation: Installation) -> list[Manifest]:
    """Return all policies and bindings."""
    return [manifest for group in policies(installation).values() for manifest in group]


def render() -> dict[str, str]:
    """Return file name → content of the generated templates."""
    kept = {"annotations": {"helm.sh/resource-policy": "keep"}}
    crds = [definition | {"metadata": definition["metadata"] | kept} for definition in map(crd, KINDS)]
    groups = {f"policies-{name}": group for name, group in policies(HELM).items()} | {"crds": crds}
    return {f"{name}.yaml": HEADER + _yaml(group) for name, group in groups.items()}


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines, and those that Helm fills in, as blocks, and repeats what is repeated."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - signature of PyYAML
        return True


def _text(dumper: _Readable, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text or "{{" in text else None)


_Readable.add_representer(str, _text)


def _yaml(documents: list[Manifest]) -> str:
    return yaml.dump_all(documents, Dumper=_Readable, sort_keys=False, width=1_000, allow_unicode=True)


def main() -> None:
    """Write the templates into the folder given as the only argument."""
    folder = Path(sys.argv[1])
    for name, content in render().items():
        (folder / name).write_text(content)
