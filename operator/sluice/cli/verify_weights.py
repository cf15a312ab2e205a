"""`sluice verify-weights`: the last look at the bytes, in a Pod, before the model server reads them.

The release pins the name-binding digest of the weights, and the cluster has verified who signed a list with that digest. So no key is needed here: a bundle
whose list has exactly this digest lists exactly these files, whoever signed it. With a trust root the signature is verified once more.

Made for an init container: options may come as variables, nothing is asked for, and the last word goes to the termination log as one line.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.trusted import FILE, trusted
from sluice.cli.verify import NOT_VERIFIED, UNKNOWN, VERIFIED
from sluice.cli.verify_model import read_bundle_file

if TYPE_CHECKING:
    from sluice.provenance.model_signature import ModelManifest

log = logging.getLogger(__name__)

TERMINATION_LOG: Final = Path("/dev/termination-log")
_TERMINATION_BYTES: Final = 1000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def _digest(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise click.BadParameter("write sha256: and 64 lower-case hexadecimal digits")
    return value


@click.command("verify-weights")
@click.argument("model", type=click.Path(path_type=Path), metavar="DIR", envvar="SLUICE_MODEL_DIR")
@click.option("--bundle-file", type=click.Path(path_type=Path), required=True, envvar="SLUICE_BUNDLE_FILE", help="The model signature.")
@click.option("--digest", required=True, callback=_digest, envvar="SLUICE_DIGEST", help="Name-binding digest that the release pins (sha256:…).")
@click.option("--trust-root-file", type=FILE, envvar="SLUICE_TRUST_ROOT_FILE", help="Verify the signature too: a TrustRoot, or a trusted_root.json.")
@click.option("--identity", envvar="SLUICE_IDENTITY", help="With --trust-root-file: who must have signed, exact.")
@click.option("--issuer", envvar="SLUICE_ISSUER", help="With --trust-root-file: who must have vouched for the identity, exact.")
@click.option("--allow-uncovered", "uncovered", multiple=True, metavar="PATH", envvar="SLUICE_ALLOW_UNCOVERED", help="Accept what nobody signed here.")
@click.option(
    "--skip-lost-found",
    is_flag=True,
    envvar="SLUICE_SKIP_LOST_FOUND",
    help="Pass over a lost+found at the top that only root may read; not for servers run as root.",
)
@click.option("--threads", type=click.IntRange(1, 64), envvar="SLUICE_THREADS", help="Threads that hash.  [default: one for each core]")
@click.option("--termination-log", type=click.Path(path_type=Path), default=TERMINATION_LOG, show_default=True, help="Where the last word goes.")
def verify_weights(
    *,
    model: Path,
    bundle_file: Path,
    digest: str,
    trust_root_file: Path | None,
    identity: str | None,
    issuer: str | None,
    uncovered: tuple[str, ...],
    skip_lost_found: bool,
    threads: int | None,
    termination_log: Path,
) -> None:
    """Check the files in DIR against the signed list that a release pins, and end with 0 only if they are the same.

    Ends with 0 when they are, 1 when they are not, 2 for usage, 3 when it could not tell (a file cannot be read).
    """
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package
    from sluice.provenance.model_verification import FilesRefused, verify_on_disk  # noqa: PLC0415

    try:
        manifest = _manifest(bundle_file, digest, trust_root_file, identity, issuer)
        found = verify_on_disk(manifest, model, accept_uncovered=uncovered, lost_found=skip_lost_found, bundle=bundle_file, threads=threads)
        told, code = f"verified {found.files:,} files, {found.bytes:,} bytes: {digest}", VERIFIED
    except FilesRefused as error:
        click.echo("\n".join(map(str, error.faults)), err=True)
        told, code = f"NOT VERIFIED ({error.reason}): {error}", NOT_VERIFIED
    except ProvenanceError as error:
        told, code = f"NOT VERIFIED ({error.reason}): {error}", NOT_VERIFIED
    except OSError as error:
        told, code = f"could not tell: {error.filename or 'a file'}: {error.strerror or error}", UNKNOWN
    except click.ClickException:
        raise
    except Exception as error:
        # Python would end with 1, which is an answer.
        log.exception("the verification broke off")
        told, code = f"could not tell: {type(error).__name__}", UNKNOWN
    click.echo(told, err=code != VERIFIED)
    _last_word(termination_log, told)
    sys.exit(code)


def _manifest(bundle_file: Path, digest: str, trust_root_file: Path | None, identity: str | None, issuer: str | None) -> ModelManifest:
    """The list with `digest`. Raises ProvenanceError, UsageError, OSError."""
    from sluice.provenance.envelope import read_bundle  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415
    from sluice.provenance.model_signature import parse_model_manifest  # noqa: PLC0415
    from sluice.provenance.model_verification import BUNDLE_BYTES, DISK_FILE_LIMIT  # noqa: PLC0415
    from sluice.provenance.statement import parse_statement  # noqa: PLC0415

    if trust_root_file is None and (identity or issuer):
        raise click.UsageError("--identity and --issuer go with --trust-root-file")
    raw = read_bundle_file(bundle_file)
    if trust_root_file is None:
        payload = read_bundle(raw, limit=BUNDLE_BYTES).payload
    else:
        trust = trusted(trust_root_file=trust_root_file, key_files=(), identity=identity, issuer=issuer)
        payload = trust.verify(raw, limit=BUNDLE_BYTES).payload
    manifest = parse_model_manifest(parse_statement(payload, limit=BUNDLE_BYTES), limit=DISK_FILE_LIMIT)
    if manifest.digest != digest:
        raise ProvenanceError(Reason.ArtifactMismatch, f"the release pins {digest}, the signed list is {manifest.digest}")
    return manifest


def _last_word(path: Path, told: str) -> None:
    """Write one line for `kubectl describe pod`; a Pod without such a file has standard error."""
    if path.exists():
        path.write_text(told[:_TERMINATION_BYTES] + "\n", "utf-8", errors="replace")
