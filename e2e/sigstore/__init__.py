"""A private Sigstore in one process: certificate authority, certificate transparency, Rekor v1 and v2 logs, timestamp authority.

For tests, the demo and machines without a network. It signs with its own keys what it says itself: **one process has no independent witness**, so its log
and its timestamps prove to nobody else that something happened when it says it did. A production TrustRoot names a Sigstore that others run.
"""

from e2e.sigstore.private import PrivateSigstore, sign_with_key
from e2e.sigstore.statements import evaluation_statement, lm_eval_results, model_signature_statement, slsa_statement

__all__ = [
    "PrivateSigstore",
    "evaluation_statement",
    "lm_eval_results",
    "model_signature_statement",
    "sign_with_key",
    "slsa_statement",
]
