"""`sluice verify model`: a folder, or a file, against an OpenSSF model signature. Offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.hashing_bar import hashing_bar
from sluice.cli.trusted import FILE, trust_options, trusted
from sluice.cli.verify import OUTPUT, CannotTell, answering, tell

if TYPE_CHECKING:
    from sluice.provenance.bundle import VerifiedEnvelope
    from sluice.provenance.model_signature import ModelManifest
    from sluice.provenance.model_verification import ModelOnDisk

DEFAULT_BUNDLE: Final = "model.sig"


@click.command("model")
@click.argument("model", type=click.Path(exists=True, path_type=Path), metavar="DIR")
@click.option("--bundle", "bundle_file", type=FILE, help="The signature.  [default: model.sig in DIR; FILE.sig beside one file]")
@trust_options
@click.option("--file", "only", multiple=True, metavar="NAME", help="Verify this file only, by its path below DIR; may be given more than once.")
@click.option("--allow-uncovered", "uncovered", multiple=True, metavar="PATH", help="Accept what nobody signed at this path below DIR, exact.")
@click.option("--threads", type=click.IntRange(1, 64), help="Threads that hash.  [default: one for each core]")
@OUTPUT
def verify_model(
    *,
    model: Path,
    bundle_file: Path | None,
    trust_root_file: Path | None,
    key_files: tuple[Path, ...],
    certificate_files: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    only: tuple[str, ...],
    uncovered: tuple[str, ...],
    threads: int | None,
    output: str,
) -> None:
    """Verify that DIR, or one file, is a model exactly as somebody whom you name has signed it.

    \b
      sluice verify model ./churn --key release.pub
      sluice verify model ./churn --trust-root trusted_root.json --identity train@example.com --issuer https://accounts.example.com

    Every file must have been signed, and every signed file must be there, the same. Links are not followed, unless the signer has, and never out of DIR. What
    the signer left out (ignore_paths) is refused where it is there, and not accepted with --allow-uncovered.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.provenance.model_signature import parse_model_manifest  # noqa: PLC0415 - see the package
    from sluice.provenance.model_verification import BUNDLE_BYTES, DISK_FILE_LIMIT, verify_on_disk  # noqa: PLC0415
    from sluice.provenance.statement import parse_statement  # noqa: PLC0415

    with answering(output):
        trust = trusted(trust_root_file=trust_root_file, key_files=key_files, certificate_files=certificate_files, identity=identity, issuer=issuer)
        bundle = bundle_file or beside(model)
        if not bundle.exists():
            raise CannotTell(f"there is no {bundle}; say where the signature is, with --bundle FILE")
        envelope = trust.verify(read_bundle_file(bundle), limit=BUNDLE_BYTES)
        manifest = parse_model_manifest(parse_statement(envelope.payload, limit=BUNDLE_BYTES), limit=DISK_FILE_LIMIT)
        with hashing_bar(model, quiet=output != "table") as progress:
            found = verify_on_disk(manifest, model, only=only or None, accept_uncovered=uncovered, bundle=bundle, threads=threads, progress=progress)
        _told(envelope, manifest, found, output)


def beside(model: Path) -> Path:
    """Where the signature of a model is: in its folder, or next to a model of one file."""
    return model / DEFAULT_BUNDLE if model.is_dir() else model.with_name(model.name + ".sig")


def read_bundle_file(path: Path) -> bytes:
    """The bytes of a bundle, one more than are read at most when there are more. Raises OSError."""
    from sluice.provenance.model_verification import BUNDLE_BYTES  # noqa: PLC0415 - see the package

    with path.open("rb") as file:
        return file.read(BUNDLE_BYTES + 1)


def _told(envelope: VerifiedEnvelope, manifest: ModelManifest, found: ModelOnDisk, output: str) -> None:
    signer = envelope.signer
    tell(
        {
            "verified": True,
            "model": manifest.model_name,
            "digest": manifest.digest,
            "omsRoot": manifest.oms_root,
            "files": found.files,
            "bytes": found.bytes,
            "partial": found.partial,
            "uncovered": list(found.uncovered),
            "leftOutBySigner": list(manifest.uncovered),
            "signer": {"identity": signer.identity, "issuer": signer.issuer, "key": signer.key, "keyFingerprint": signer.key_fingerprint},
            "signedAt": envelope.signed_at.isoformat() if envelope.signed_at else None,
            "bundle": envelope.bundle_digest,
        },
        output,
    )
