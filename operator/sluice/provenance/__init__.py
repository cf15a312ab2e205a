"""Signed bundles and trust anchors come in; verified in-toto statements, or one error tree, go out.

No network, no Kubernetes, no clock: the same bytes and the same anchors give the same answer for ever.
Imports nothing of Sluice but `api`. Read: `errors`, `strict_json`, `trust`, `bundle`, `statement`, then the predicates.
"""
