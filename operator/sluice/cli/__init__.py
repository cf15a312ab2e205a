"""The command line: `sluice …`, and `kubectl sluice …` as a plugin.

In: arguments. Out: tables for people, JSON and YAML for machines, exit codes (0 done, 1 refused, 2 usage, 3 could not tell).
May import every other layer; each command imports what it needs when it runs, so that `--help` is quick and the webhook does not load the controller.
"""

from __future__ import annotations

import click

from sluice import __version__
from sluice.cli.canary import canary
from sluice.cli.decisions import approve, reject
from sluice.cli.drills import drill
from sluice.cli.probe import probe
from sluice.cli.processes import controller, webhook
from sluice.cli.replay import replay
from sluice.cli.scoring import score
from sluice.cli.sign import sign
from sluice.cli.sign_model import sign_model
from sluice.cli.sign_statement import evidence, sign_statement
from sluice.cli.suite import suite
from sluice.cli.trust import trust
from sluice.cli.verify import verify
from sluice.cli.verify_bundle import verify_bundle_file
from sluice.cli.verify_image import verify_image
from sluice.cli.verify_model import verify_model
from sluice.cli.verify_release import verify_release
from sluice.cli.verify_weights import verify_weights


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
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


main.add_command(approve)
main.add_command(canary)
main.add_command(probe)
main.add_command(reject)
main.add_command(controller)
main.add_command(drill)
main.add_command(evidence)
main.add_command(replay)
main.add_command(score)
main.add_command(sign)
sign.add_command(sign_model)
sign.add_command(sign_statement)
main.add_command(suite)
main.add_command(trust)
main.add_command(verify)
verify.add_command(verify_bundle_file)
verify.add_command(verify_image)
verify.add_command(verify_model)
verify.add_command(verify_release)
main.add_command(verify_weights)
main.add_command(webhook)
