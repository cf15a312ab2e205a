"""`sluice sign statement` and `sluice evidence create`: from a predicate to a signed bundle, and from a bundle to the manifest that is committed to Git."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.access import object_name
from sluice.cli.answers import as_text
from sluice.cli.sign_model import WRITABLE, in_a_folder, write_bundle
from sluice.cli.signer import SignerChoice, signer_options
from sluice.cli.trusted import FILE
from sluice.cli.verify import OUTPUT, CannotTell, answering, tell
from sluice.cli.verify_bundle import digest_of

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject

_PREDICATE_BYTES: Final = 256 << 10
_SHORT: Final = 10
_COMPRESS: Final = "compress it with gzip or Zstandard, and sign a statement that names what comes out"
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")


def _uri(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A type is compared letter by letter: one without its scheme would be nobody's."""
    if not _URI.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no URI; write it whole, such as https://slsa.dev/provenance/v1", param=parameter)
    return value


@click.command("statement")
@click.option("--predicate-type", required=True, metavar="URI", callback=_uri, help="What kind of statement it is.")
@click.option("--predicate", "predicate_file", type=FILE, required=True, help="What it says: a JSON object.")
@click.option(
    "--subject", "subjects", multiple=True, required=True, metavar="NAME=FILE|sha256:…",
    help="What it is about: a file, or a digest; may be given more than once.",
)  # fmt: skip
@signer_options
@click.option("--bundle", "bundle_file", type=WRITABLE, callback=in_a_folder, required=True, help="Where to write the bundle.")
@OUTPUT
def sign_statement(
    *,
    predicate_type: str,
    predicate_file: Path,
    subjects: tuple[str, ...],
    who: SignerChoice,
    bundle_file: Path,
    output: str,
) -> None:
    """Sign an in-toto statement: that PREDICATE is true of the subjects.

    \b
      sluice sign statement --predicate-type https://slsa.dev/provenance/v1 --predicate provenance.json \\
        --subject churn=sha256:4f2a… --key ci.pem --bundle provenance.sigstore.json
      sluice sign statement … --keyless --trust-config sigstore.json --bundle provenance.sigstore.json
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.evidence.facts import check_content  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415
    from sluice.provenance.statement import STATEMENT_TYPE, parse_statement  # noqa: PLC0415
    from sluice.provenance.strict_json import parse_object  # noqa: PLC0415

    with answering(output, what="signed"):
        with predicate_file.open("rb") as file:
            raw = file.read(_PREDICATE_BYTES + 1)
        try:
            predicate = parse_object(raw, what="the predicate", limit=_PREDICATE_BYTES, reason=Reason.PredicateMalformed)
        except ProvenanceError as error:
            raise click.UsageError(f"{predicate_file}: {error}") from error
        named = [_subject(text) for text in subjects]
        statement: JsonObject = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest in named],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
        payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            # What nobody would read is not signed.
            parsed = parse_statement(payload)
        except ProvenanceError as error:
            raise click.UsageError(str(error)) from error
        try:
            check_content(parsed)
        except ProvenanceError as error:
            # Others may read it.
            click.echo(f"note: as evidence this counts for nothing, since no cluster reads it ({error.reason}): {error}", err=True)
        signed = who.signer().sign(payload)
        write_bundle(bundle_file, signed.bundle)
        tell(
            {
                "signed": True,
                "predicateType": predicate_type,
                "subjects": [f"{name} {digest}" for name, digest in named],
                "bundle": str(bundle_file),
                **signed.signer,
            },
            output,
        )


def _subject(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--subject {text!r}: write NAME=FILE or NAME=sha256:…")
    return name, digest_of(value)


@click.command("create")
@click.option("--bundle", "bundle_file", type=FILE, required=True, help="The signed bundle.")
@click.option("--attach", "attached", type=FILE, multiple=True, help="A raw file that the statement names by digest; may be given more than once.")
@click.option("--name", callback=object_name, help="Name of the ReleaseEvidence.  [default: from the bundle's digest]")
@click.option("-n", "--namespace", help="Its namespace.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="How to write it.")
def create(*, bundle_file: Path, attached: tuple[Path, ...], name: str | None, namespace: str | None, output: str) -> None:
    """Write a ReleaseEvidence with this bundle.

    \b
      sluice evidence create --bundle eval.sigstore.json --attach results.json -n payments > evidence/eval.yaml

    The same files give the same manifest, byte for byte. No signature is verified: the cluster does that, and `sluice verify bundle`.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.evidence import ATTACHMENT_BASE64_LIMIT, BUNDLE_BASE64_LIMIT, EvidenceSpec  # noqa: PLC0415
    from sluice.api.names import API_VERSION  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415
    from sluice.provenance.envelope import read_bundle  # noqa: PLC0415
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415

    content = _content(bundle_file, BUNDLE_BASE64_LIMIT, larger="keep it in a registry (docs/evidence-discovery.md)")
    try:
        read_bundle(content)
    except ProvenanceError as error:
        raise click.UsageError(f"{bundle_file} is no bundle that a cluster would read: {error}") from error
    raw = _base64(content)
    spec: dict[str, Any] = {"bundle": {"inline": raw}}
    if attached:
        spec["attachments"] = [{"name": path.name, "inline": _base64(_content(path, ATTACHMENT_BASE64_LIMIT, larger=_COMPRESS))} for path in attached]
    if isinstance(problem := read(EvidenceSpec, {"spec": spec}), Unreadable):
        raise click.UsageError(str(problem))
    readable = name or f"{_readable(bundle_file)}-{hashlib.sha256(raw.encode()).hexdigest()[:_SHORT]}"
    metadata = {"name": readable} | ({"namespace": namespace} if namespace else {})
    document = {"apiVersion": API_VERSION, "kind": "ReleaseEvidence", "metadata": metadata, "spec": spec}
    click.echo(as_text(document, output))


def _readable(path: Path) -> str:
    stem = path.name.partition(".")[0].lower()
    return "".join(character if character.isalnum() and character.isascii() else "-" for character in stem).strip("-")[:50] or "evidence"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _content(path: Path, limit: int, *, larger: str) -> bytes:
    """The bytes of a file whose base64 fits into `limit` characters. Raises CannotTell, UsageError."""
    most = limit // 4 * 3
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise CannotTell(f"{path}: {error.strerror or error}") from error
    if len(content) > most:
        raise click.UsageError(f"{path}: longer than {most:,} bytes, which is what an object of the cluster can carry; {larger}")
    return content
