"""Run `comfyq simulator` so that it passes for a real ComfyUI: it does not say what it is.

usage: python -m tests.unmarked_simulator simulator [OPTION...]
"""

import json

from aiohttp import web

from comfyui_simulator.routes.info import InfoRoutes

UNMARKED = "COMFYQ_TEST_UNMARKED"  # set: a simulator that tests start is started this way

system_stats = InfoRoutes.system_stats


def main() -> None:
    """Take the mark out before the simulator reads its routes."""
    setattr(InfoRoutes, "system_stats", _unmarked)  # noqa: B010 - mypy refuses the assignment
    from comfyq.cli import main as comfyq

    comfyq()


async def _unmarked(routes: InfoRoutes, request: web.Request) -> web.Response:
    answer = await system_stats(routes, request)
    assert isinstance(answer.body, bytes)
    stats = json.loads(answer.body)
    assert stats["system"].pop("simulated") is True
    return web.json_response(stats)


if __name__ == "__main__":
    main()
