"""`python -m e2e.images`: build images and say where they are. Results go to standard output, what happens meanwhile to standard error."""

import argparse
import sys
import time
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed
from e2e.images import Image, build_model, build_model_server, build_sluice, prune


def main() -> int:
    """Run one command. Returns the exit code: 0 when done, 1 when not, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m e2e.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builds = commands.add_parser("build", help="build one image, or find it in the cache; prints reference, digest and OCI layout folder")
    images = builds.add_subparsers(dest="image", required=True)
    images.add_parser("sluice", help="the operator, from this checkout")
    images.add_parser("model-server", help="MLServer for scikit-learn models")
    model = images.add_parser("model", help="one model version")
    model.add_argument("folder", type=Path, help="weights and model-settings.json")
    model.add_argument("--name", required=True)
    model.add_argument("--version", required=True)
    pruning = commands.add_parser("prune", help="keep only the newest image of each name")
    pruning.add_argument("--all", action="store_true", help="keep nothing")
    options = parser.parse_args()
    narrator = Narrator()
    try:
        if options.command == "prune":
            prune(everything=options.all, narrator=narrator)
        else:
            _show(_build(options, narrator), narrator)
    except StepFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 0


def _build(options: argparse.Namespace, narrator: Narrator) -> Image:
    match options.image:
        case "sluice":
            return build_sluice(narrator=narrator)
        case "model-server":
            return build_model_server(narrator=narrator)
        case _:
            return build_model(options.name, options.version, options.folder, narrator=narrator)


def _show(image: Image, narrator: Narrator) -> None:
    age = time.time() - (image.layout / "index.json").stat().st_mtime
    narrator.say(f"{image.reference}: {image.layer_bytes / 1e6:.0f} MB, built {age:.0f} s ago")
    print(f"{image.reference}\n{image.digest}\n{image.layout}")


sys.exit(main())
