"""A graph that takes long to judge leaves the event loop to others."""

import asyncio
import threading
from typing import Any

import pytest

from comfyq.domain.submission.admission import graph_check
from comfyq.services.jobs.admission import Check
from tests.api_lab import ApiLab
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

GRAPH = {"1": {"class_type": "SaveImage", "inputs": {}}}


async def test_health_answers_before_a_graph_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered = threading.Event(), threading.Event()

    def slow(*request: Any, **known: Any) -> Check:
        begun.set()
        assert answered.wait(10), "nothing else was answered while the graph was judged"
        return graph_check(*request, **known)

    monkeypatch.setattr("comfyq.services.jobs.admission.graph_check", slow)
    client = ApiLab().client
    posting = asyncio.to_thread(client.post, "/generate", json={"graph": GRAPH})
    submission = asyncio.create_task(posting)
    await until(begun.is_set)
    assert (await asyncio.to_thread(client.get, "/health")).status_code == 200
    assert not submission.done()
    answered.set()
    assert (await submission).status_code in (200, 202), (await submission).text
