"""Reasons to wait are pushed only while a socket is open, and again after the table was away."""

import asyncio
from collections.abc import Iterator

import pytest

from comfyq.domain.errors import Unavailable
from comfyq.edges.websocket.waiting_reasons import push_reasons_for_ever

pytestmark = pytest.mark.anyio


async def test_reasons_are_pushed_while_a_socket_is_open_and_the_table_answers() -> None:
    is_open: Iterator[bool] = iter([False, True, True, True])
    answers: Iterator[BaseException | None] = iter(
        [None, Unavailable("away"), asyncio.CancelledError()]
    )
    pushes = 0

    async def push() -> int:
        nonlocal pushes
        pushes += 1
        if (raised := next(answers)) is not None:
            raise raised
        return 0

    with pytest.raises(asyncio.CancelledError):
        await push_reasons_for_ever(push, any_open=lambda: next(is_open), period_s=0)
    assert pushes == 3
