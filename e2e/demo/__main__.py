"""`python -m e2e.demo up|down`: set everything up and tell the story, or remove all of it."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import traceback

from rich.console import Console

from e2e.cluster import Narrator, StepFailed
from e2e.cluster.build import cache_folder
from e2e.demo.ingredients import STATE, gather
from e2e.demo.install import install
from e2e.demo.manifests import NAMESPACE
from e2e.demo.story import Story
from e2e.demo.target import Target, down
from e2e.sigstore import PrivateSigstore


def main() -> int:
    """Run one command. Returns the exit code: 0 when done, 1 when a step failed: its name and what the cluster said last are on standard error then."""
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    command = parser.parse_args().command
    narrator, console = Narrator(), Console(highlight=False)
    try:
        if command == "down":
            down(narrator)
            shutil.rmtree(STATE, ignore_errors=True)
            narrator.say(f"what was built stays in {cache_folder().parent} for the next time; remove that folder to build it again")
            return 0
        _up(narrator, console)
    except StepFailed as failure:
        print(f"\nerror: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: `make demo` begins the story again, `make demo-down` removes what it made", file=sys.stderr)
        return 130
    return 0


def _up(narrator: Narrator, console: Console) -> None:
    began = time.monotonic()
    target = Target.up(narrator)
    try:
        _tell(target, narrator, console, began)
    except Exception as failure:
        # Whatever it was: who sees it cannot ask the cluster any better than we can.
        if not isinstance(failure, StepFailed | AssertionError):
            traceback.print_exc()
        message = f"{str(failure) or type(failure).__name__}\n\nWhat the cluster said last:\n{target.last_words()}"
        raise StepFailed(message) from failure


def _tell(target: Target, narrator: Narrator, console: Console, began: float) -> None:
    target.forget()
    with narrator.step("train, quantise and evaluate the model, build the images"):
        ingredients = gather(target, narrator)
    with narrator.step("install Sluice with Helm"):
        install(target, ingredients.sluice)
    with narrator.step("wait until nothing is left of the last run of the demo"):
        target.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=120s")
    ready = time.monotonic()
    story = Story(target, PrivateSigstore.in_folder(STATE / "sigstore"), console)
    story.tell(ingredients)
    console.print(f"\n[bold]Done:[/] {ready - began:.0f} s to set up, {time.monotonic() - ready:.0f} s for the story.")
    console.print("Look further:")
    for line in (
        f"get mr -n {NAMESPACE} -o wide",
        f"describe mr/digits-1-1-0 -n {NAMESPACE}",
        f"describe mcr/digits-1-2-0-1 -n {NAMESPACE}",
        "get sluice -A",
        "describe mrp/production",
    ):
        console.print(f"  kubectl {target.access} {line}", soft_wrap=True)
    console.print("Remove everything: make demo-down")


sys.exit(main())
