"""Measures the cost of a client that stops reading to others that follow the same job."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.front import front
from tests.bench.sockets.crowd import Stalled, crowd
from tests.bench.sockets.delays import delays_ms, percentile, read_posts
from tests.bench.sockets.following import STEPS, running, watched
from tests.bench.sockets.servers import served
from tests.bench.stack import simulated

WITH_PREVIEWS = ("--preview-every-steps", 1)
PREVIEWS = "?previews=1"  # they fill the buffers of who does not read


@dataclass(frozen=True, slots=True)
class Ratio:
    """The 99th percentile of the others' delays, in rounds without the stalled client and with
    it."""

    without_ms: Sequence[float]
    beside_ms: Sequence[float]
    stalled: Sequence[Stalled]

    @property
    def p99s(self) -> tuple[float, float]:
        return percentile(self.without_ms, 99), percentile(self.beside_ms, 99)


async def stalling(*, sockets: int, rounds: int, round_s: float, apart: bool) -> Ratio:
    """Compare rounds in turns. In all of them one of the others wants previews too, so that these
    are made in all of them.

    Raises AssertionError if no stalled client was sent less than the others.
    """
    with (
        simulated(*STEPS, *WITH_PREVIEWS) as comfyui,
        served([comfyui.url], apart=apart) as server,
    ):
        frames: dict[bool, list[float]] = {False: [], True: []}
        stalled: list[Stalled] = []
        async with front(server.up.url) as client, crowd() as others:
            path = f"/ws/progress/{await running(client)}"
            await others.open(server.up.url, [path + PREVIEWS, *[path] * (sockets - 1)])
            for number in range(2 * rounds):
                is_beside = number % 4 in (1, 2)  # each goes first as often as the other
                if is_beside:
                    await others.stall(server.up.url, path + PREVIEWS)
                received = await watched(others, round_s)
                frames[is_beside] += (
                    delay for _, delay in delays_ms(read_posts(server.posts), received)
                )
                if is_beside:
                    stalled.append(await others.drain())
    assert any(each.cut_off for each in stalled), f"nobody was stalled for long: {stalled}"
    return Ratio(frames[False], frames[True], stalled)
