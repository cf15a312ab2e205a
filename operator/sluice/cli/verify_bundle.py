"""`sluice verify bundle`: what a Sigstore bundle says, and whether somebody who is trusted has signed it. Offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.trusted import FILE, Trusted, trust_options, trusted
from sluice.cli.verify import OUTPUT, answering, tell

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.api.strict_json import JsonValue
    from sluice.provenance.bundle import Signer
    from sluice.provenance.model_signature import ModelManifest
    from sluice.provenance.statement import Statement

ARTIFACT_BYTES: Final = 8 << 30
"""Of a file that is hashed, at most."""
HELD_BYTES: Final = 1 << 30
"""Of a file that is read into memory, at most."""
_SHOWN: Final = 64
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_BARE: Final = re.compile(r"[0-9a-fA-F]{64}")


OF_TYPE: Final = click.option("--predicate-type", metavar="URI", help="What kind of statement it must be, exact; default: any.")


@click.command("bundle")
@click.argument("bundle_file", type=FILE, metavar="FILE")
@click.option("--artifact", metavar="FILE|sha256:…", help="What must have been signed: a file, or its digest. A bundle over plain bytes needs it.")
@OF_TYPE
@trust_options
@OUTPUT
def verify_bundle_file(
    *,
    bundle_file: Path,
    artifact: str | None,
    predicate_type: str | None,
    trust_root_file: Path | None,
    key_files: tuple[Path, ...],
    certificate_files: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    output: str,
) -> None:
    """Verify a Sigstore bundle: an in-toto statement, or a signature over a file.

    \b
      sluice verify bundle provenance.json --key release.pub --artifact model.tar
      sluice verify bundle eval.json --trust-root trust.yaml --identity https://ci/eval.yml@main --issuer https://token.ci

    With --artifact the statement must be about exactly this file, and with --predicate-type of this kind: who may sign one kind may sign others, too.
    What kind it is of is printed, and is as true as its signer.

    Of a model signature the list is verified, without the files: `digest` is the one that a ModelRelease names, and --artifact takes it.
    `sluice verify model` compares the files.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    with answering(output):
        trust = trusted(trust_root_file=trust_root_file, key_files=key_files, certificate_files=certificate_files, identity=identity, issuer=issuer)
        digest = None if artifact is None else digest_of(artifact)
        content = Path(artifact) if artifact is not None and artifact != digest else None
        tell(of_type(predicate_type, verified(read_file(bundle_file), digest, trust, content=content)), output)


def read_file(path: Path) -> bytes:
    """Read a bundle, and one byte more than any may have, so that a longer one is noticed. Raises OSError."""
    from sluice.provenance.model_verification import BUNDLE_BYTES  # noqa: PLC0415 - see the package

    with path.open("rb") as file:
        return file.read(BUNDLE_BYTES + 1)


def verified(raw: bytes, artifact: str | None, trust: Trusted, *, content: Path | None = None) -> dict[str, JsonValue]:
    """Verify a bundle; say what it says and who signed it. `artifact` is the digest that it has to be about, and `content` the file of that digest, which is
    read again for keys that sign over more than a SHA-256. Raises ProvenanceError, OSError, and UsageError where a bundle over plain bytes comes without.
    """  # noqa: D205 - the first line says both
    from sluice.provenance.bundle import verify_message  # noqa: PLC0415 - see the package
    from sluice.provenance.envelope import Message, read_bundle  # noqa: PLC0415
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415
    from sluice.provenance.model_verification import BUNDLE_BYTES  # noqa: PLC0415
    from sluice.provenance.statement import parse_statement  # noqa: PLC0415

    if isinstance(read_bundle(raw, limit=BUNDLE_BYTES).content, Message):
        if artifact is None:
            raise click.UsageError("the bundle signs plain bytes: say which, with --artifact")
        if trust.anchors is None:
            raise ProvenanceError(
                Reason.CertificateUntrusted, "a signature over plain bytes is verified with --key or --trust-root, not with certificates alone"
            )
        try:
            message = verify_message(raw, artifact, trust.anchors)
        except ProvenanceError as error:
            if error.reason is not Reason.ArtifactNeeded or content is None:
                raise
            message = verify_message(raw, _held(content), trust.anchors)
        trust.check(message.signer)
        trust.check_revoked(message.signer, message.signed_at)
        return {"verified": True, "artifact": message.sha256, **_signed(message.signer, message.signed_at, message.bundle_digest)}
    envelope = trust.verify(raw, limit=BUNDLE_BYTES)
    statement = parse_statement(envelope.payload, limit=BUNDLE_BYTES)
    model = _model_in(statement, size=len(raw))
    if artifact is not None:
        _demand(model.digest if model else None, statement, artifact)
    return {
        "verified": True,
        "predicateType": statement.predicate_type,
        "subjects": [f"{subject.name} {subject.sha256}" for subject in statement.subjects[:_SHOWN]],
        **({"digest": model.digest, "files": len(model.files), "leftOutBySigner": list(model.uncovered)} if model else {}),
        **_signed(envelope.signer, envelope.signed_at, envelope.bundle_digest),
    }


def of_type(wanted: str | None, answer: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Give the answer about a statement of the kind that is wanted. Raises ProvenanceError (PredicateTypeUnexpected) for another kind, and for plain bytes."""
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package

    if wanted is not None and (found := answer.get("predicateType")) != wanted:
        said = "the bundle signs plain bytes" if found is None else f"the statement is of type {found!r}"
        raise ProvenanceError(Reason.PredicateTypeUnexpected, f"the signature holds, and {said}, not {wanted!r}")
    return answer


def _model_in(statement: Statement, *, size: int) -> ModelManifest | None:
    """The list of a model signature; None of another statement, whose bundle is of `size` bytes, as short as those that a cluster reads.

    Raises ProvenanceError.
    """
    from sluice.provenance.envelope import BUNDLE_LIMIT  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415
    from sluice.provenance.model_signature import PREDICATE_TYPE, parse_model_manifest  # noqa: PLC0415
    from sluice.provenance.model_verification import DISK_FILE_LIMIT  # noqa: PLC0415

    if statement.predicate_type == PREDICATE_TYPE:
        return parse_model_manifest(statement, limit=DISK_FILE_LIMIT)
    if size > BUNDLE_LIMIT:
        raise ProvenanceError(Reason.BundleTooLarge, f"the bundle is {size:,} bytes; at most {BUNDLE_LIMIT:,} are read, but for model signatures")
    return None


def _held(path: Path) -> bytes:
    """The content of a file, which has to fit into memory. Raises OSError and UsageError."""
    with path.open("rb") as file:
        content = file.read(HELD_BYTES + 1)
    if len(content) > HELD_BYTES:
        raise click.UsageError(f"{path}: this key signs over the content itself, of which at most {HELD_BYTES >> 20} MiB are read")
    return content


def _demand(model: str | None, statement: Statement, artifact: str) -> None:
    """Refuse a statement about something else. The subject of a model signature is a digest that binds no names, so it is the `model` digest that counts."""
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package

    if model is not None:
        if artifact != model:
            raise ProvenanceError(
                Reason.SubjectMissing, f"the signature holds, and the model has digest {model}, not {artifact}; its files are compared by `sluice verify model`"
            )
    elif all(subject.sha256 != artifact for subject in statement.subjects):
        named = ", ".join(subject.sha256 for subject in statement.subjects[:3])
        raise ProvenanceError(Reason.SubjectMissing, f"the signature holds, and the statement is about {named}, not about {artifact}")


def _signed(signer: Signer, signed_at: datetime | None, bundle_digest: str) -> dict[str, JsonValue]:
    return {
        "signer": {"identity": signer.identity, "issuer": signer.issuer, "key": signer.key, "keyFingerprint": signer.key_fingerprint},
        "claims": dict(signer.claims),
        "certificates": list(signer.chain_fingerprints),
        "serial": signer.serial,
        "signedAt": signed_at.isoformat() if signed_at else None,
        "bundle": bundle_digest,
    }


def digest_of(artifact: str) -> str:
    """Give the digest of a file, or the one that is given. Raises OSError and UsageError."""
    import hashlib  # noqa: PLC0415 - see the package

    if artifact.startswith("sha256:"):
        if not _DIGEST.fullmatch(artifact):
            raise click.UsageError(f"{artifact!r} is no digest: sha256: and 64 lower-case hexadecimal digits")
        return artifact
    if _BARE.fullmatch(artifact) and not Path(artifact).exists():
        raise click.UsageError(f"{artifact!r} is no file; for a digest write sha256:{artifact.lower()}")
    path = Path(artifact)
    if path.is_dir():
        raise click.UsageError(f"{path} is a folder: `sluice sign model` signs one and `sluice verify model` verifies it; here, give a file or a digest")
    if path.stat().st_size > ARTIFACT_BYTES:
        raise click.UsageError(f"{path}: longer than {ARTIFACT_BYTES >> 30} GiB; give its digest")
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
