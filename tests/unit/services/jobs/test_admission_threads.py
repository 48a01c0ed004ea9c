"""A graph that takes long to judge leaves the event loop to others; a small one does not wait."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.errors import InvalidRequest
from comfyq.domain.submission.admission import graph_check
from comfyq.domain.submission.request import Request
from comfyq.services.jobs.admission import Check
from tests.api_lab import ApiLab
from tests.catalogue_lab import join
from tests.comfy_lab import GRAPH
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

SAVE = {"class_type": "SaveImage", "inputs": {}}
LARGE = {str(number): SAVE for number in range(30)}


async def test_health_answers_before_a_graph_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered = threading.Event(), threading.Event()

    def slow(*request: Any, **known: Any) -> Check:
        begun.set()
        assert answered.wait(10), "nothing else was answered while the graph was judged"
        return graph_check(*request, **known)

    monkeypatch.setattr("comfyq.services.jobs.admission.graph_check", slow)
    client = ApiLab().client
    posting = asyncio.to_thread(client.post, "/generate", json={"graph": LARGE})
    submission = asyncio.create_task(posting)
    await until(begun.is_set)
    assert (await asyncio.to_thread(client.get, "/health")).status_code == 200
    assert not submission.done()
    answered.set()
    assert (await submission).status_code in (200, 202), (await submission).text


GRAPHS: Mapping[str, tuple[Any, bool]] = {  # and whether it is judged without a thread of its own
    "small": (GRAPH, True),
    "many nodes": (LARGE, False),
    "many inputs": (
        {"9": {"class_type": "SaveImage", "inputs": dict.fromkeys(map(str, range(200)))}},
        False,
    ),
    "an unknown class": (GRAPH | {"4": {"class_type": "SaveImege", "inputs": {}}}, False),
    "a model that is not there": (
        GRAPH | {"4": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "none"}}},
        False,
    ),
    "no node": (GRAPH | {"4": 7}, False),
    "no inputs": (GRAPH | {"4": {"class_type": "SaveImage"}}, False),
    "a class that is no text": (GRAPH | {"4": {"class_type": ["SaveImage"], "inputs": {}}}, False),
}


@pytest.mark.parametrize("name", GRAPHS)
async def test_a_small_graph_of_known_classes_is_judged_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """To say which class may be meant takes longer than handing it over does."""
    graph, at_once = GRAPHS[name]
    judged_in: list[str] = []

    def noted(*request: Any, **known: Any) -> Check:
        judged_in.append(threading.current_thread().name)
        return graph_check(*request, **known)

    monkeypatch.setattr("comfyq.services.jobs.admission.graph_check", noted)
    lab = ApiLab()
    await join(lab, tmp_path)
    with suppress(InvalidRequest):
        await lab.admission.admit(Request(graph=graph))
    assert [each.startswith("graphs") for each in judged_in] == [not at_once]
