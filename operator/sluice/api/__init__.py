"""The resources of `sluice.dev/v1alpha1`, typed once.

In: nothing but pydantic. Out: models that parse what the API server stores, and the CRDs generated from them.
Imports nothing else of Sluice, so that every other layer may import it.
"""
