"""The reason to wait is read once for all, and only while a follower's job waits."""

import asyncio
from collections.abc import Iterator

import pytest

from comfyq.domain.errors import Unavailable
from comfyq.edges.websocket.waiting_reasons import show_reasons_for_ever

pytestmark = pytest.mark.anyio


async def test_reasons_are_shown_while_a_job_waits_and_the_table_answers() -> None:
    waiting: Iterator[bool] = iter([False, True, True, True])
    answers: Iterator[str | Unavailable] = iter(["paused", Unavailable("away"), "no worker"])
    shown: list[str | None] = []

    async def reason() -> str | None:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def show(reason: str | None) -> None:
        shown.append(reason)
        if len(shown) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await show_reasons_for_ever(
            reason, any_waiting=lambda: next(waiting), show=show, period_s=0
        )
    assert shown == ["paused", "no worker"]
