"""`sluice verify release`: the verdict on a release, from files or from a cluster, by the same core that decides at admission.

From files it is what the cluster would say if exactly these objects were applied: a change of a policy or of a trust root is tried before it is made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.access import Access, cluster_options, release_name
from sluice.cli.desk import FILES, SLUICE_NAMESPACE, Cluster, Desk
from sluice.cli.verify import OUTPUT, answering, tell

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonValue
    from sluice.decision.model import Result, Verdict


@click.command("release")
@click.argument("release", callback=release_name, metavar="mr/NAME")
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option(
    "-f", "--filename", "files", type=FILES, multiple=True,
    help="Manifests, or folders of them, instead of the cluster: releases, evidence, policies, trust roots, the Namespace.",
)  # fmt: skip
@cluster_options
@SLUICE_NAMESPACE
@OUTPUT
def verify_release(
    *, release: str, namespace: str, files: tuple[Path, ...], kubeconfig: Path | None, context: str | None, sluice_namespace: str, output: str
) -> None:
    """Verify that a release may serve, with everything that its policies ask for.

    \b
      sluice verify release mr/churn-2-1-0 -n payments
      sluice verify release mr/churn-2-1-0 -n payments -f release.yaml -f evidence.yaml -f policy.yaml -f trust.yaml -f namespace.yaml

    Every bundle is verified here and now; no status is believed.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.decision.records import Key  # noqa: PLC0415 - see the package

    with answering(output):
        key = Key(namespace=namespace, name=release)
        cluster = None if files else Cluster(access=Access(kubeconfig=kubeconfig, context=context), sluice_namespace=sluice_namespace)
        desk = Desk.laid_out(files=files, namespace=namespace, cluster=cluster)
        if files:
            desk.without_namespace([namespace])
        verdict = desk.world.verdict(key, now=datetime.now(UTC))
        if verdict is None:
            raise desk.nothing(key)
        answer = _answer(verdict, lines=output == "table")
        tell(answer, output)
        if not answer["verified"]:
            raise click.exceptions.Exit(1)


def _answer(verdict: Verdict, *, lines: bool) -> dict[str, JsonValue]:
    """What the verdict comes to: requirements, triggers and decisions as objects for programs, as `lines` for people."""
    from sluice.cli.findings import result_object  # noqa: PLC0415 - see the package
    from sluice.decision.model import Allowance  # noqa: PLC0415

    serves = verdict.allows is Allowance.SERVE
    decisions = (*verdict.approvals, *verdict.waivers)
    requirements: list[JsonValue] = [_line(result) if lines else result_object(result) for result in verdict.results]
    triggers: list[JsonValue] = [
        f"{one.trigger} ({one.change or 'when'}): {one.detail}" if lines else {"name": one.trigger, "change": str(one.change or ""), "detail": one.detail}
        for one in verdict.fired
    ]
    decided: list[JsonValue] = [
        f"{one.name} ({one.reason}): {one.said}" if lines else {"name": one.name, "reason": str(one.reason), "message": one.said} for one in decisions
    ]
    return {
        "verified": serves,
        **({} if serves else {"reason": str(verdict.open[0].reason if verdict.open else "Rejected")}),
        "phase": str(verdict.phase),
        "releaseDigest": verdict.release_digest,
        "evidenceDigest": verdict.evidence_digest,
        "tier": verdict.tier,
        "triggers": triggers,
        "riskOwner": verdict.risk_owner,
        "requirements": requirements,
        "decisions": decided,
    }


def _line(result: Result) -> str:
    return f"{result.outcome:<9} {result.requirement} ({result.reason}): {result.message}" + (f" → {result.remedy}" if result.remedy else "")
