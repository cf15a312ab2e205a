"""The client protocol of sigstore-conformance, on top of Sluice's verifier: `verify-bundle` of an artifact or its digest, by identity or by key.

    pytest --entrypoint tests/conformance/sigstore      (in a checkout of sigstore-conformance, with `--skip-signing`)

Exit codes: 0 verified, 1 not verified, 2 called wrongly. It does not sign. Without `--trusted-root` it trusts the public instance, as the `sigstore` package
ships its trusted root; it opens no connection.

Protocol: https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from sluice.provenance.bundle import Signer, verify_bundle, verify_message
from sluice.provenance.digests import is_hex_digest
from sluice.provenance.envelope import Envelope, read_bundle
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors

VERIFIED, NOT_VERIFIED, WRONG_CALL = 0, 1, 2
_INSTANCES = {False: "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", True: "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev"}
_LIMIT = 16 * 1024 * 1024


def public_root(*, staging: bool = False) -> str:
    """The trusted root of the public instance that the `sigstore` package ships."""
    return files("sigstore._store").joinpath(_INSTANCES[staging], "trusted_root.json").read_text("utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run one command of the protocol; the exit code."""
    parser = argparse.ArgumentParser(prog="sigstore", description="Sluice as a client of sigstore-conformance.")
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify-bundle")
    verify.add_argument("--staging", action="store_true", help="trust the public staging instance")
    verify.add_argument("--bundle", type=Path, required=True)
    verify.add_argument("--certificate-identity")
    verify.add_argument("--certificate-oidc-issuer")
    verify.add_argument("--key", type=Path, help="PEM public key, instead of identity and issuer")
    verify.add_argument("--trusted-root", type=Path)
    verify.add_argument("artifact", metavar="FILE_OR_DIGEST")
    commands.add_parser("sign-bundle", add_help=False)
    options, _ = parser.parse_known_args(arguments) if "sign-bundle" in arguments[:1] else (parser.parse_args(arguments), None)
    if options.command == "sign-bundle":
        sys.stderr.write("this client verifies; it does not sign\n")
        return WRONG_CALL
    named = (options.certificate_identity, options.certificate_oidc_issuer)
    if (options.key is None) == (named == (None, None)) or (options.key is None and None in named):
        parser.error("give either --key, or --certificate-identity and --certificate-oidc-issuer")
    try:
        signer = _verify(options)
        if options.key is None and (signer.identity, signer.issuer) != named:
            raise _NotVerified(f"signed by {signer.identity} (issuer {signer.issuer}), not by {named[0]} (issuer {named[1]})")
    except (ProvenanceError, _NotVerified, OSError) as error:
        reason = f" ({error.reason})" if isinstance(error, ProvenanceError) else ""
        sys.stderr.write(f"not verified: {error}{reason}\n")
        return NOT_VERIFIED
    sys.stdout.write(f"verified: signed by {signer.key or signer.identity}\n")
    return VERIFIED


class _NotVerified(Exception):
    """The bundle holds, and is not what was asked for."""


def _verify(options: argparse.Namespace) -> Signer:
    root = options.trusted_root.read_text("utf-8", "replace") if options.trusted_root else public_root(staging=options.staging)
    if options.key is None:
        anchors = TrustAnchors.sigstore("conformance", root)
    else:
        anchors = TrustAnchors.keys("conformance", {"key": options.key.read_text("ascii", "replace")}, witnesses=root)
    raw = options.bundle.read_bytes()
    artifact = _artifact(options.artifact)
    if not isinstance(read_bundle(raw, limit=_LIMIT).content, Envelope):
        return verify_message(raw, artifact, anchors, limit=_LIMIT).signer
    envelope = verify_bundle(raw, anchors, limit=_LIMIT)
    digest = artifact if isinstance(artifact, str) else "sha256:" + hashlib.sha256(artifact).hexdigest()
    if digest not in {subject.sha256 for subject in parse_statement(envelope.payload, limit=_LIMIT).subjects}:
        raise _NotVerified(f"the signed statement does not speak of {digest}")
    return envelope.signer


def _artifact(text: str) -> bytes | str:
    """The protocol's rule: `sha256:` and as many digits as it takes is a digest, unless there is a file of that name."""
    algorithm, _, value = text.partition(":")
    if algorithm == "sha256" and is_hex_digest(algorithm, value) and not Path(text).exists():
        return text
    return Path(text).read_bytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
