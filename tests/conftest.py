"""What all suites share: one hypothesis profile, a limit of time for each test, and how processes share them.

Deadlines are off, because a machine that builds Kubernetes at the same time makes any test slow once: the number of examples
bounds the time.
In CI and under `make test` the examples are the same each time, so that a red run can be repeated. `make property` and `make unit` try others each time,
so that they find more: there, each takes its hundred where it says no other number.
"""

import os

import pytest
from hypothesis import settings

from tests.limits import pytest_configure, pytest_runtest_protocol
from tests.scheduling import pytest_xdist_make_scheduler

__all__ = ["pytest_configure", "pytest_runtest_protocol", "pytest_xdist_make_scheduler"]

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what AWS tools would find on this machine: neither variables nor profiles."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
