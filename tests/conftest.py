"""What all suites share: one hypothesis profile, and a limit of time for each test.

Deadlines are off, because a machine that builds Kubernetes at the same time makes any test slow once: the number of examples
bounds the time.
In CI the examples are the same each time, so that a red run can be repeated; at a desk they differ, so that they find more.
"""

import os

from hypothesis import settings

from tests.limits import pytest_configure, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_protocol"]

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
