"""What a worker does before it ends, however it ends."""

from pathlib import Path

import pytest

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker import open_worker
from comfyq.config import Settings
from comfyui_simulator import Simulator

pytestmark = pytest.mark.anyio


async def test_frames_that_were_put_off_are_told_also_where_a_worker_ends_by_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, told = Settings(data_dir=tmp_path / "data"), []
    ports = open_ports(settings)
    services = Services(settings, ports)
    tell_put_off = services.batch_news.tell_put_off

    async def noted() -> None:
        told.append("put off")
        await tell_put_off()

    monkeypatch.setattr(services.batch_news, "tell_put_off", noted)
    with pytest.raises(RuntimeError, match="broken"):
        async with Simulator() as simulator, open_worker(services, comfyui_url=simulator.url):
            raise RuntimeError("broken")
    ports.close()
    assert told == ["put off"]
