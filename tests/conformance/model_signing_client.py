"""The adapter protocol of the OpenSSF model signing conformance suite, on top of Sluice: `sign-model` and `verify-model`.

    pytest test/ --entrypoint=tests/conformance/model-signing      (in the folder `conformance` of a checkout of model-signing-spec)

Also `verify-model --bundle F (--key K | --certificate-chain C) MODEL`. The rules are the specification's, which are laxer than ours in one thing: what the
signer left out, or is left out by default, is accepted where it lies. Exit codes: 0 verified (or signed), 1 not, 2 called wrongly. It opens no connection, so
it does not sign with an identity. Without other trust, `--method sigstore` trusts the public instance as the `sigstore` package ships its trusted root.

Protocol: https://github.com/ossf/model-signing-spec, conformance/docs/adapter_cli_protocol.md
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sluice.provenance.bundle import VerifiedEnvelope, verify_bundle
from sluice.provenance.bundle_signing import BundleSigner
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_certificate import verify_by_certificates
from sluice.provenance.model_directory import manifest_of
from sluice.provenance.model_signature import parse_model_manifest
from sluice.provenance.model_statement import GIT_PATHS, model_statement
from sluice.provenance.model_verification import BUNDLE_BYTES, DISK_FILE_LIMIT, verify_on_disk
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
from tests.conformance.sigstore_client import public_root

DONE, NOT_DONE, WRONG_CALL = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run one command of the protocol; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.act(options)
    except (ProvenanceError, OSError) as error:
        reason = f" ({error.reason})" if isinstance(error, ProvenanceError) else ""
        sys.stderr.write(f"{options.command} failed: {error}{reason}\n")
        return NOT_DONE
    except _WrongCall as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CALL
    return DONE


class _WrongCall(Exception):
    """Options that do not fit together."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="model-signing", description="Sluice as a client of the conformance suite of OpenSSF model signing.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, act in (("sign-model", _sign), ("verify-model", _verify)):
        command = commands.add_parser(name)
        command.set_defaults(act=act)
        command.add_argument("--method", choices=["key", "certificate", "sigstore"])
        command.add_argument("--model-path", type=Path)
        command.add_argument("--cert-chain", "--certificate-chain", dest="chain", type=Path, action="append", default=[])
        command.add_argument("--ignore-paths", type=Path, action="append", default=[])
        command.add_argument("--use-staging", action="store_true")
        command.add_argument("model", type=Path, nargs="?")
        if act is _sign:
            command.add_argument("--output-bundle", type=Path, required=True)
            command.add_argument("--private-key", type=Path)
            command.add_argument("--signing-cert", type=Path)
            command.add_argument("--identity-token")
        else:
            command.add_argument("--bundle", type=Path, required=True)
            command.add_argument("--public-key", "--key", dest="public_key", type=Path)
            command.add_argument("--ignore-unsigned-files", action="store_true")
            command.add_argument("--identity")
            command.add_argument("--identity-provider")
    return parser


def _sign(options: argparse.Namespace) -> None:
    if options.method == "sigstore" or options.private_key is None:
        raise _WrongCall("this client signs with --private-key; it opens no connection")
    key = options.private_key.read_bytes()
    if options.method == "certificate":
        if options.signing_cert is None:
            raise _WrongCall("method certificate needs --signing-cert")
        signer = BundleSigner.with_certificate(key, options.signing_cert.read_bytes(), b"".join(path.read_bytes() for path in options.chain))
    else:
        signer = BundleSigner.with_key(key)
    model = _model(options)
    ignored = [name for path in [*options.ignore_paths, options.output_bundle] if (name := _below(path, model))]
    manifest = manifest_of(model, leave_out={*ignored, *GIT_PATHS})
    options.output_bundle.write_bytes(signer.sign(model_statement(manifest, left_out={*ignored, *GIT_PATHS})))


def _verify(options: argparse.Namespace) -> None:
    model = _model(options)
    with options.bundle.open("rb") as file:
        envelope = _envelope(options, file.read(BUNDLE_BYTES + 1))
    manifest = parse_model_manifest(parse_statement(envelope.payload, limit=BUNDLE_BYTES), limit=DISK_FILE_LIMIT)
    accepted = {*manifest.uncovered, *GIT_PATHS, *(name for path in options.ignore_paths if (name := _below(path, model)))}
    # Every listed file and no other: what 8.5 calls ignoring unsigned files.
    only = [file.name for file in manifest.files] if options.ignore_unsigned_files else None
    verify_on_disk(manifest, model, only=only, accept_uncovered=accepted, bundle=options.bundle)


def _envelope(options: argparse.Namespace, raw: bytes) -> VerifiedEnvelope:
    method = options.method or ("key" if options.public_key else "certificate" if options.chain else "sigstore")
    if method == "key":
        if options.public_key is None:
            raise _WrongCall("method key needs --public-key")
        return verify_bundle(raw, TrustAnchors.keys("conformance", {"key": options.public_key.read_text("ascii", "replace")}), limit=BUNDLE_BYTES)
    if method == "certificate":
        if not options.chain:
            raise _WrongCall("method certificate needs --cert-chain")
        pem = "\n".join(path.read_text("ascii", "replace") for path in options.chain)
        return verify_by_certificates(raw, pem, now=datetime.now(UTC), limit=BUNDLE_BYTES)
    if options.identity is None or options.identity_provider is None:
        raise _WrongCall("method sigstore needs --identity and --identity-provider")
    envelope = verify_bundle(raw, TrustAnchors.sigstore("conformance", public_root(staging=options.use_staging)), limit=BUNDLE_BYTES)
    if (envelope.signer.identity, envelope.signer.issuer) != (options.identity, options.identity_provider):
        raise ProvenanceError(Reason.SignerUnexpected, f"signed by {envelope.signer.identity} (issuer {envelope.signer.issuer})")
    return envelope


def _model(options: argparse.Namespace) -> Path:
    model: Path | None = options.model_path or options.model
    if model is None:
        raise _WrongCall("name the model")
    return model


def _below(path: Path, model: Path) -> str | None:
    """The path below the model; None when it lies elsewhere, or the model is one file."""
    inside, folder = Path(os.path.abspath(path)), Path(os.path.abspath(model))  # noqa: PTH100 - resolve() follows links
    return inside.relative_to(folder).as_posix() if model.is_dir() and inside != folder and inside.is_relative_to(folder) else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
