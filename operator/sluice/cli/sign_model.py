"""`sluice sign model`: an OpenSSF model signature over a folder, or a file, which `sluice verify model` and `model_signing` verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from sluice.cli.hashing_bar import hashing_bar
from sluice.cli.signer import SignerChoice, signer_options
from sluice.cli.verify import OUTPUT, answering, tell
from sluice.cli.verify_model import beside

WRITABLE: Final = click.Path(dir_okay=False, path_type=Path)
_SHARD_BYTES: Final = 1_000_000_000


def in_a_folder(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Where a bundle goes has to be there before anything is hashed, signed, or written into a log."""
    if path is not None and not path.parent.is_dir():
        message = f"there is no folder {str(path.parent)!r}; make it, or name another one"
        raise click.BadParameter(message)
    return path


def _plain_paths(_context: click.Context, _parameter: click.Parameter, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Paths as the list of a signature has them: `./x` and `x/` would leave nothing out, and say so nowhere."""
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package
    from sluice.provenance.model_files import check_path  # noqa: PLC0415

    for path in paths:
        try:
            check_path(path)
        except ProvenanceError as error:
            raise click.BadParameter(str(error)) from error
    return paths


@click.command("model")
@click.argument("model", type=click.Path(exists=True, path_type=Path), metavar="DIR")
@signer_options
@click.option(
    "--bundle", "bundle_file", type=WRITABLE, callback=in_a_folder, help="Where to write the signature.  [default: model.sig in DIR; FILE.sig beside one file]"
)
@click.option("--hash", "algorithm", type=click.Choice(["sha256", "blake2b", "blake3"]), default="sha256", show_default=True, help="Digest of the files.")
@click.option("--shards", is_flag=True, help="List pieces of files instead of whole ones, so that one large file is hashed by several cores.")
@click.option("--shard-size", type=click.IntRange(1, 2**53 - 1), default=_SHARD_BYTES, show_default=True, help="Bytes of a piece.")
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    callback=_plain_paths,
    metavar="PATH",
    help="Leave this path below DIR out of the signature, exact. The signature says so.",
)
@click.option("--include-git", is_flag=True, help="Sign .git, .gitattributes, .github and .gitignore too; they are left out otherwise.")
@click.option("--threads", type=click.IntRange(1, 64), help="Threads that hash.  [default: one for each core]")
@OUTPUT
def sign_model(
    *,
    model: Path,
    who: SignerChoice,
    bundle_file: Path | None,
    algorithm: str,
    shards: bool,
    shard_size: int,
    ignored: tuple[str, ...],
    include_git: bool,
    threads: int | None,
    output: str,
) -> None:
    """Sign DIR, or one file, as a model: a list of its files with their digests.

    \b
      sluice sign model ./churn --key release.pem
      sluice sign model ./churn --key signing.pem --certificate signing.crt --certificate-chain intermediate.crt
      sluice sign model ./churn --keyless --trust-config sigstore.json

    The bundle is written beside the files, and is the evidence to apply. Its `digest` is the one that a ModelRelease names.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.provenance.model_directory import manifest_of  # noqa: PLC0415 - see the package
    from sluice.provenance.model_signature import FILE_LIMIT  # noqa: PLC0415
    from sluice.provenance.model_statement import GIT_PATHS, model_statement  # noqa: PLC0415

    with answering(output, what="signed"):
        signer = who.signer()
        bundle = bundle_file or beside(model)
        own = _below(bundle, model)
        left_out = {*ignored, *(() if include_git else GIT_PATHS), *own}
        with hashing_bar(model, quiet=output != "table") as progress:
            manifest = manifest_of(model, leave_out=left_out, algorithm=algorithm, shard_size=shard_size if shards else 0, threads=threads, progress=progress)
        signed = signer.sign(model_statement(manifest, left_out=own))
        write_bundle(bundle, signed.bundle)
        if sum(len(file.shards) or 1 for file in manifest.files) > FILE_LIMIT:
            click.echo(f"note: the list has more than {FILE_LIMIT:,} entries; a cluster reads no longer ones", err=True)
        tell(
            {
                "signed": True,
                "model": manifest.model_name,
                "digest": manifest.digest,
                "files": len(manifest.files),
                "leftOut": list(manifest.uncovered),
                "bundle": str(bundle),
                **signed.signer,
            },
            output,
        )


def _below(bundle: Path, model: Path) -> set[str]:
    """The bundle's own path below the model, if it is there."""
    inside, folder = Path(os.path.abspath(bundle)), Path(os.path.abspath(model))  # noqa: PTH100 - resolve() follows links
    return {inside.relative_to(folder).as_posix()} if model.is_dir() and inside.is_relative_to(folder) else set()


def write_bundle(bundle: Path, raw: bytes) -> None:
    """Write all of it or nothing: half a signature would be taken for a broken one."""
    partial = bundle.with_name(bundle.name + ".partial")
    try:
        partial.write_bytes(raw)
        partial.replace(bundle)
    finally:
        partial.unlink(missing_ok=True)
