"""What every conformance test needs: a server on loopback."""

from collections.abc import Iterator

import pytest

from tests.support.fake_servers.model_server import ModelServer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running
