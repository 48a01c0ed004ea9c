"""The port at which a process without an API serves its metrics."""

import socket
from collections.abc import Sequence
from urllib.request import urlopen

import pytest

from comfyq.adapters.prometheus.server import PortsTaken, serving_metrics
from comfyq.telemetry.metrics import Counter, Metric


def metrics() -> Sequence[Metric]:
    counter = Counter("comfyq_a_total", "What it counts.", "kind")
    counter.add("x")
    return [counter]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def read(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_processes_take_one_port_after_the_other() -> None:
    first = free_port()
    with (
        serving_metrics(metrics, version="1", host="127.0.0.1", port=first) as one,
        serving_metrics(metrics, version="1", host="127.0.0.1", port=one) as other,
    ):
        assert other > one
        for port in (one, other):
            assert 'comfyq_a_total{kind="x"} 1.0' in read(port)
            assert 'comfyq_build_info{version="1"} 1.0' in read(port)


def test_a_port_is_free_again_afterwards() -> None:
    with serving_metrics(metrics, version="1", host="127.0.0.1", port=free_port()) as port:
        pass
    with pytest.raises(OSError, match="refused"):
        read(port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_address_that_is_not_this_machines_is_refused() -> None:
    with (
        pytest.raises(PortsTaken, match=r"192\.0\.2\.1"),
        serving_metrics(metrics, version="1", host="192.0.2.1", port=free_port()),
    ):
        pass
