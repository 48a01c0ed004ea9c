"""What an API process without workers does before it ends."""

from datetime import timedelta

import pytest

from comfyq.local.application import local_app
from tests.batch_lab import socket_lab

pytestmark = pytest.mark.anyio


async def test_frames_that_were_put_off_are_told_when_the_api_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.batch_news.LEAST_PAUSE", timedelta(hours=1))
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    app = local_app(lab.services)
    async with app.router.lifespan_context(app):
        await lab.services.cancellation.cancel_job(await lab.records.get(job_ids[0]))
        assert lab.frames[-1]["counts"]["canceled"] == 0, "too early"
    assert lab.frames[-1]["counts"]["canceled"] == 1
