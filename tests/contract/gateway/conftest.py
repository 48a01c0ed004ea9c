"""Gateways of WebSocket APIs, each held to what API Gateway documents."""

import pytest

from tests.fixtures.websocket_api import ministack_lab
from tests.gateway_lab import gateway_lab
from tests.gateways import MINISTACK, OURS, Opened


@pytest.fixture(params=[OURS, MINISTACK])
def opened(request: pytest.FixtureRequest) -> Opened:
    if request.param == OURS:
        return gateway_lab
    api = request.getfixturevalue("websocket_api")
    return lambda: ministack_lab(api)
