"""Monitors after release: what they found is the controller's to write, and nobody's to take back but the platform team's.

A finding keeps a release out of service. So a `ReleaseMonitor` that has one is not even deleted by the controller: it only ever reduces exposure by itself, and
its own defects, or whoever gets hold of its credentials, bring nothing back. That a finding stays in the status is said by the CRD.
"""

from __future__ import annotations

from sluice.api.kinds import RELEASE_MONITOR
from sluice.api.names import GROUP, VERSION
from sluice.gate.policy import CREATE, DELETE, UPDATE, Installation, Manifest, Matches, Rule, by_kubernetes, validating


def guard_monitors(installation: Installation) -> list[Manifest]:
    """Refuse monitors that are not the controller's, and their end once they found something."""
    return validating(
        "sluice-guard-monitors",
        why="What was found after release is written by the controller only, and stays until the platform team has dealt with it.",
        matches=Matches(group=GROUP, version=VERSION, resources=[RELEASE_MONITOR.plural], operations=(*CREATE, *UPDATE, *DELETE)),
        rules=[
            Rule(
                expression=f"request.operation != 'CREATE' || {installation.by_controller}",
                message="denied by sluice: monitors are made by the controller only; say in a ReleasePolicy what is to be watched",
            ),
            Rule(
                # The garbage collector takes off its own finalizer when somebody who may deletes in the foreground.
                expression=f"request.operation != 'UPDATE' || {installation.by_controller}\n  || {by_kubernetes('generic-garbage-collector')}",
                message="denied by sluice: monitors are changed by the controller only; say in a ReleasePolicy what is to be watched",
            ),
            Rule(
                expression=f"""\
request.operation != 'DELETE' || {by_kubernetes("namespace-controller")}
  || ({installation.by_controller} && oldObject.?status.?findings.orValue([]).size() == 0)
  || {installation.by_platform_team}""",
                message=(
                    "denied by sluice: what was found after release stays until it is dealt with; ask the platform team"
                    " (they are listed in the chart's value namespaceGuard)"
                ),
            ),
        ],
    )  # fmt: skip
