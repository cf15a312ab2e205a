"""The command line: `sluice …`, and `kubectl sluice …` as a plugin.

In: arguments. Out: tables for people, JSON and YAML for machines, exit codes (0 done, 1 refused, 2 usage, 3 could not tell).
May import every other layer; each command is loaded when it is called, and imports what it needs when it runs.
"""

from __future__ import annotations

import click

from sluice import __version__
from sluice.cli.loaded import Loaded

_PLACES = {
    "approve": "decisions.approve", "canary": "canary.canary", "controller": "processes.controller", "drill": "drills.drill",
    "evidence": "sign_statement.evidence", "probe": "probe.probe", "reject": "decisions.reject", "replay": "replay.replay",
    "score": "scoring.score", "sign": "sign.sign", "suite": "suite.suite", "trust": "trust.trust", "verify": "verify.verify",
    "verify-weights": "verify_weights.verify_weights", "webhook": "processes.webhook",
}  # fmt: skip


@click.group(cls=Loaded, places=_PLACES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="sluice")
def main() -> None:
    """Decide which machine-learning model releases may run on a Kubernetes cluster.

    \b
    People:      sluice approve mr/churn-2-1-0 -n payments --role security
                 sluice reject  mr/churn-2-1-0 -n payments --role security --comment "refuses too little"
    Rehearse:    sluice drill mr/churn-2-1-0 -n payments
    Look:        kubectl get mr -n payments -o wide;  kubectl describe mr/churn-2-1-0 -n payments
    Compare:     sluice suite check suite.yaml
                 sluice score --once --suite suite.yaml --candidate http://… --baseline http://…
                 sluice canary plan --margin 0.02 --planned 3000
                 sluice replay monday.jsonl --suite suite.yaml -o cases.jsonl
    Verify:      sluice verify release mr/churn-2-1-0 -n payments;  sluice verify bundle|image|model …
    Sign:        sluice sign model|statement …;  sluice evidence create --bundle eval.json > evidence.yaml
    Trust:       sluice trust import|show|diff …
    Processes:   sluice controller, sluice webhook (the chart starts them), sluice score and sluice probe (the controller starts them)

    As `kubectl-sluice` on PATH the same commands are `kubectl sluice …`.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
