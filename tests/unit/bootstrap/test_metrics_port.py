"""Metrics at a port of the process's own."""

import asyncio
import socket
from urllib.request import urlopen

import pytest

from comfyq.bootstrap.telemetry.measurements import metrics_port
from comfyq.config import MetricsSettings
from tests.api_lab import ApiLab
from tests.log_lines import logged

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def read(url: str) -> str:
    def fetch() -> str:
        with urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    return await asyncio.to_thread(fetch)


@pytest.mark.parametrize("of_a_server", [True, False])
async def test_the_deployments_numbers_are_a_servers_alone(of_a_server: bool) -> None:
    settings = MetricsSettings(metrics_port=free_port())
    measurements = ApiLab().services.measurements if of_a_server else None
    with logged() as lines, metrics_port(settings, measurements):
        [served] = [line for line in lines if line["event"] == "metrics_served"]
        text = await read(served["url"])
    assert "comfyq_gpu_busy_seconds_total" in text
    assert ("comfyq_workers_live" in text) == of_a_server


async def test_an_address_that_cannot_be_had_is_logged_and_stops_nothing() -> None:
    settings = MetricsSettings(metrics_port=free_port(), metrics_host="192.0.2.1")
    with logged() as lines, metrics_port(settings):
        pass
    assert [line["event"] for line in lines] == ["metrics_unserved"]


async def test_without_a_port_nothing_is_served() -> None:
    with logged() as lines, metrics_port(MetricsSettings()):
        pass
    assert lines == []
