"""Which inputs make which image.

A key covers the Containerfile, the context, the pins and this package itself; whoever changes one of them gets a build, everybody else the
finished image in well under a second.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed
from e2e.images import debian, wheels
from e2e.images.inputs import CHECKOUT, key_of, read
from e2e.images.store import Image, alone, build, find

HERE = Path(__file__).resolve().parent
BUSYBOX = Path("/bin/busybox")
WHEELS, PIP = "/wheels", "/usr/lib/python3/dist-packages/pip"


def build_sluice(*, narrator: Narrator) -> Image:
    """Build the Sluice image from this checkout: one layer each for Debian, the pinned packages, and our source."""
    return _with_packages(
        "sluice",
        containerfile=CHECKOUT / "Containerfile",
        sources=["LICENSE", "operator/sluice"],
        requirements="runtime.txt",
        narrator=narrator,
    )


def build_model_server(*, narrator: Narrator) -> Image:
    """Build the demo's model server image."""
    return _with_packages(
        "model-server",
        containerfile=HERE / "model-server.Containerfile",
        sources=["e2e/demo/digits/network.py", "e2e/demo/digits/serving.py"],
        requirements="model-server.txt",
        narrator=narrator,
    )


def build_model(model: str, version: str, folder: Path, *, narrator: Narrator) -> Image:
    """Build the image of one model version from `folder`: its weights and its `model-settings.json`.

    The digest depends on the files' names and bytes (and on busybox), never on times, owners, modes, `model` or `version`.
    Raises StepFailed when `folder` is not a model that the server can load.
    """
    if not (folder / "model-settings.json").is_file():
        raise StepFailed(f"{folder} has no model-settings.json: the model server would not find the model")
    files = read([folder], below=folder)
    inputs = {f"models/{name}": content for name, content in files.items()}
    name = f"model-{model}-{version}"
    key = key_of({**inputs, "busybox": BUSYBOX.read_bytes(), **_recipe(HERE / "model.Containerfile")})

    def make(scratch: Path) -> Image:
        context = _written(inputs, scratch / "context")
        shutil.copyfile(BUSYBOX, context / "busybox")
        (context / "busybox").chmod(0o755)
        with narrator.step(f"image of model {model} {version}"):
            return build(name, key, containerfile=HERE / "model.Containerfile", context=context, scratch=scratch)

    return _found_or_made(name, key, make, narrator=narrator)


def _with_packages(name: str, *, containerfile: Path, sources: list[str], requirements: str, narrator: Narrator) -> Image:
    """Build an image of pinned packages and `sources`, which lie in the build's context as they do in the checkout."""
    pins = CHECKOUT / "requirements" / requirements
    inputs = read([pins, *(CHECKOUT / source for source in sources)], below=CHECKOUT)
    key = key_of({**inputs, **_recipe(containerfile)})

    def make(scratch: Path) -> Image:
        base = debian.base(scratch=scratch, narrator=narrator)
        packages = wheels.fetch(pins, scratch=scratch, narrator=narrator)
        with narrator.step(f"image {name}"):
            return build(
                name,
                key,
                containerfile=containerfile,
                # The bytes that the key is about, and not what an editor may have made of the files since.
                context=_written(inputs, scratch / "context"),
                scratch=scratch,
                arguments={"BASE": base, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS},
                volumes={packages: WHEELS, wheels.pip_folder(): PIP},
            )

    return _found_or_made(name, key, make, narrator=narrator)


def _found_or_made(name: str, key: str, make: Callable[[Path], Image], *, narrator: Narrator) -> Image:
    if found := find(name, key):
        return found
    with alone(narrator) as scratch:
        # Whoever held the lock before us may have made it.
        return find(name, key) or make(scratch)


def _written(inputs: Mapping[str, bytes], folder: Path) -> Path:
    """Write files below a new folder, all with the same modes."""
    for name, content in inputs.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _recipe(containerfile: Path) -> Mapping[str, bytes]:
    return read([containerfile, *HERE.glob("*.py")], below=CHECKOUT)
