"""Opens loopback, and nothing else, for every test in this folder; gives each a scripted API server and a client of it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from sluice.cluster.client import ApiClient
from tests.faults.scripted import ScriptedServer


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """A connection to any other address is an error of the test."""
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A scripted API server that is up."""
    async with ScriptedServer() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[ApiClient]:
    """A client of the scripted server, with a short timeout."""
    async with ApiClient(server.connection(), timeout_seconds=1.0) as usable:
        yield usable
