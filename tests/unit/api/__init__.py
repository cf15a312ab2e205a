"""Tests of the resources and of the CRDs generated from them."""
