"""Closes the network for every test in this folder.

Unix sockets stay open: an event loop makes a pair of them for itself, and a server can be tested through one.
"""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def network_closed() -> Iterator[None]:
    """Any attempt to open an internet socket is an error of the test."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
