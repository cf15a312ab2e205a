"""The command line: `sluice …`, and `kubectl sluice …` as a plugin.

In: arguments. Out: tables for people, JSON and YAML for machines, exit codes (0 done, 1 refused, 2 usage, 3 could not tell).
May import every other layer; each command is loaded when it is called, and imports what it needs when it runs.
"""

from __future__ import annotations

import click

from sluice import __version__
from sluice.cli.loaded import Loaded

_PLACES = {
    "approve": "decisions.approve", "canary": "canary.canary", "check": "check.check", "collect": "collect.collect",
    "completion": "completion.completion",
    "controller": "processes.controller", "diff": "diff.diff", "drill": "drills.drill", "evidence": "evidence.evidence",
    "explain": "explain.explain", "init": "init.init", "policy": "policy.policy", "probe": "probe.probe", "reject": "decisions.reject",
    "replay": "replay.replay",
    "revoke": "revoke.revoke", "score": "scoring.score", "sign": "sign.sign", "suite": "suite.suite", "trust": "trust.trust", "verify": "verify.verify",
    "verify-weights": "verify_weights.verify_weights", "waive": "waive.waive", "webhook": "processes.webhook",
}  # fmt: skip


@click.group(cls=Loaded, places=_PLACES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="sluice")
def main() -> None:
    """Decide which machine-learning model releases may run on a Kubernetes cluster.

    \b
    Begin:       sluice init ./churn --model churn --version 1.0.0 -n payments --key trainer.pub --approver olga@example.com …
    People:      sluice approve mr/churn-2-1-0 -n payments --role security
                 sluice reject  mr/churn-2-1-0 -n payments --role security --comment "refuses too little"
                 sluice revoke  mra/churn-2-1-0-security-x7k2p -n payments
                 sluice waive   mr/churn-2-1-0 -n payments --requirement quality --reason … --risk-owner … --ticket … --expires …
    Rehearse:    sluice drill mr/churn-2-1-0 -n payments
    Look:        kubectl get mr -n payments -o wide;  sluice explain mr/churn-2-1-0 -n payments;  sluice diff mr/churn-2-0-0 mr/churn-2-1-0 -n payments
    In Git:      sluice check -f deploy/ --until approval -o sarif
    Policies:    sluice policy test policy-tests/;  sluice policy simulate -f policy.yaml
    Compare:     sluice suite check suite.yaml
                 sluice score --once --suite suite.yaml --candidate http://… --baseline http://…
                 sluice canary plan --margin 0.02 --planned 3000
                 sluice replay monday.jsonl --suite suite.yaml -o cases.jsonl
    Verify:      sluice verify release mr/churn-2-1-0 -n payments;  sluice verify bundle|image|model …
    Convert:     sluice evidence convert samples.parquet --suite churn-core --cases 500 --tool our-eval=1.2 -o samples.jsonl
    Sign:        sluice sign model|statement …;  sluice evidence create --bundle eval.json > evidence.yaml
    Trust:       sluice trust import|show|diff …
    Processes:   sluice controller, sluice webhook (the chart starts them), sluice score and sluice probe (the controller starts them)
                 sluice collect (beside a model server whose answers are pushed)

    As `kubectl-sluice` on PATH the same commands are `kubectl sluice …`; `sluice completion` makes shells complete both.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
