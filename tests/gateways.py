"""The gateways that are held to what API Gateway documents, and where one of them differs."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.gateway_lab import GatewayLab

Opened = Callable[[], AbstractAsyncContextManager[GatewayLab]]
"""Opens a gateway with everything behind it: ``async with opened() as lab``."""

OURS, MINISTACK = "ours", "ministack"


def not_ministack(why: str) -> pytest.MarkDecorator:
    """Mark a test that ministack fails, with what it does otherwise than API Gateway."""
    differs = pytest.mark.xfail(strict=True, reason=f"ministack {why}")
    return pytest.mark.parametrize(
        "opened", [OURS, pytest.param(MINISTACK, marks=differs)], indirect=True
    )
