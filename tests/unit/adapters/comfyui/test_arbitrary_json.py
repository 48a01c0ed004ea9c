"""Custom nodes may write anything into ComfyUI's answers: none of it is a defect of ours."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comfyq.adapters.comfyui.answers import parsed
from comfyq.adapters.comfyui.replies import Reply
from comfyq.adapters.comfyui.submit.refusal import classes_without_names, graph_refused
from comfyq.adapters.comfyui.tracking.history import read_results
from comfyq.adapters.comfyui.tracking.messages import preview, signals
from comfyq.domain.job import JobStatus
from comfyq.domain.job.progress import Advance, Tracker
from comfyq.ports.engine import EngineError, PromptId, Rendered, Started
from tests.effort import share
from tests.farm import GRAPH, Farm
from tests.scripted_engine import ScriptedEngine

KNOWN = (
    *("outputs", "status", "status_str", "messages", "prompt", "meta", "display_node", "9", "3"),
    *("images", "text", "filename", "subfolder", "type", "traceback", "node_id", "node_type"),
    *("exception_type", "exception_message", "error", "errors", "node_errors", "message"),
    *("details", "extra_info", "input_name", "input_config", "received_value", "class_type"),
    *("options", "data", "prompt_id", "node", "nodes", "value", "max", "state", "input"),
    *("required", "display_node_id", "image_type"),
)
WORDS = (
    *("success", "error", "execution_error", "execution_interrupted", "value_not_in_list"),
    *("progress", "progress_state", "executed", "executing", "status", "running", "finished"),
    *("output", "temp", "p", "KSampler", "a.png", "\u00b2", "9" * 5_000, "\ud800", "\0\n"),
)
TEXTS = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=()), max_size=5)
NAMES = st.sampled_from(KNOWN) | TEXTS
NUMBERS = st.integers(-(10**60), 10**60) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
FILES = st.fixed_dictionaries({"filename": TEXTS}, optional={"type": VALUES, "subfolder": VALUES})
SHOWN = st.dictionaries(
    st.sampled_from(("images", "text")), st.lists(FILES | VALUES, max_size=3), max_size=2
)
HISTORIES = OBJECTS | st.fixed_dictionaries(
    {"outputs": st.dictionaries(TEXTS, SHOWN, max_size=2)}, optional={"meta": VALUES}
)
ABOUT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("input_name", "input_config", "received_value", "node_id"), VALUES)
)
ERRORS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("value_not_in_list") | VALUES,
        "message": VALUES,
        "details": VALUES,
        "extra_info": ABOUT | VALUES,
    },
)
NODE_ERRORS = st.dictionaries(
    TEXTS,
    st.fixed_dictionaries({"errors": st.lists(ERRORS | VALUES, max_size=2) | VALUES}) | VALUES,
    max_size=2,
)
REFUSALS = st.fixed_dictionaries(
    {}, optional={"error": ERRORS | VALUES, "node_errors": NODE_ERRORS | VALUES}
)
FEW = settings(max_examples=share(0.3), deadline=None)  # a busy machine is no fault


def through_the_wire(value: Any) -> Any:
    """As ComfyUI sends it: JSON that escapes what is not ASCII."""
    return Reply(200, json.dumps(value).encode()).json()


def only_unicode(value: Any) -> bool:
    return json.dumps(value, ensure_ascii=False).encode() != b""


@given(VALUES)
@FEW
def test_what_is_read_can_be_written(value: Any) -> None:
    assert only_unicode(through_the_wire(value))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"\ud800\ud83d\ude00\udc00"', "\ufffd\U0001f600\ufffd"),
        (rb'"\\ud800 \" \\\ud800"', '\\ud800 " \\\ufffd'),
        (b'"\xed\xa0\x80\xff"', "\ufffd" * 4),
        (rb'{"\uDFFF": 1}', {"\ufffd": 1}),
    ],
)
def test_what_is_not_unicode_is_replaced_and_all_else_is_kept(sent: bytes, read: Any) -> None:
    assert parsed(sent) == read


def test_a_document_too_deep_to_be_read_is_none() -> None:
    with pytest.raises(ValueError, match="deep"):
        parsed("[" * 100_000)


@given(HISTORIES)
@example(
    {"outputs": {"\u00b2": {"text": ["a"]}, "9" * 5_000: {"text": ["b"]}, "7": {"text": ["c"]}}}
)
@example({"status": {"status_str": "error", "messages": [["execution_error", None], 3]}})
@example({"prompt": [0, "p", {}, {}, [{}]], "outputs": {"9": {"images": [{"filename": 7}]}}})
def test_any_history_is_results_or_an_error_of_the_engine(item: Any) -> None:
    with suppress(EngineError):
        results = read_results(through_the_wire(item)).rendered
        assert all(isinstance(each, Rendered) for each in results)


def test_results_come_in_the_order_of_numbers_however_they_are_written() -> None:
    nodes = ["b", "10", "2", "\u00b2", "9" * 5_000, "1" * 5_000, "007"]
    item = {"outputs": {node: {"text": [node]} for node in nodes}}
    order = [each.node for each in read_results(item).rendered]
    assert order == ["2", "007", "10", "1" * 5_000, "9" * 5_000, "b", "\u00b2"]


@given(REFUSALS, OBJECTS, OBJECTS)
@FEW
def test_any_refusal_is_a_refusal(body: Any, graph: Any, catalogue: Any) -> None:
    received = through_the_wire(body)
    classes_without_names(received)
    refused = graph_refused(received, graph, through_the_wire(catalogue))
    assert only_unicode([str(refused), *(error.message for error in refused.errors)])


@given(
    st.sampled_from(("progress", "progress_state", "executed", "executing", "execution_cached"))
    | TEXTS,
    OBJECTS
    | st.fixed_dictionaries({"prompt_id": TEXTS | VALUES, "node": VALUES, "value": NUMBERS})
    | st.fixed_dictionaries(
        {"prompt_id": TEXTS, "node": TEXTS, "value": NUMBERS, "max": NUMBERS, "nodes": VALUES}
    ),
)
def test_any_message_of_the_socket_can_be_followed(kind: str, data: Any) -> None:
    prompt, said = signals(json.dumps({"type": kind, "data": data}))
    assert prompt is None or isinstance(prompt, str)
    tracker = Tracker.of(GRAPH)
    for signal in said:
        if isinstance(signal, Advance):
            tracker = tracker.advanced(signal)
    assert 0 <= tracker.progress.fraction <= 1
    assert abs(tracker.progress.max_steps) < 2**63


@given(st.binary(max_size=200) | OBJECTS.map(lambda value: frame(json.dumps(value).encode())))
@FEW
def test_any_binary_frame_is_a_preview_or_nothing(content: bytes) -> None:
    shown = preview(content)
    assert shown is None or isinstance(shown.prompt_id, str)


def frame(about: bytes) -> bytes:
    return (4).to_bytes(4, "big") + len(about).to_bytes(4, "big") + about


@given(HISTORIES)
@FEW
@example({"outputs": {"9": {"text": ["\ud800" * 3, "x" * 500_000]}}})
@example({"outputs": {"9" * 5_000: {"images": [{"filename": "\0/../\ud800.png"}]}}})
def test_any_history_ends_its_job_without_a_defect(item: Any) -> None:
    try:
        engine = ScriptedEngine(Started(), read_results(through_the_wire(item)))
    except EngineError as failed:
        engine = ScriptedEngine(Started(), failed)
    farm = Farm()
    try:
        job = asyncio.run(ended(farm, engine))
    finally:
        farm.spool.close()
    assert job.status is JobStatus.SUCCEEDED or (job.error and job.error.code != "internal")


async def ended(farm: Farm, engine: ScriptedEngine) -> Any:
    """Run a job and read back all that is stored of it."""
    job = await farm.submit()
    worker = farm.worker("w1", engine)
    for _ in range(100):
        await worker.run_once()
        job = await farm.records.get(job.id)
        if job.status.terminal:
            await farm.records.outputs(job.id)
            await farm.records.attempts(job.id)
            return job
        farm.clock.advance(600)
        await farm.reaper.reap()
    raise AssertionError(f"it goes on and on: {job}")


def test_prompt_ids_are_texts() -> None:
    assert signals('{"type": "executed", "data": {"prompt_id": ["p"], "node": "1"}}') == (None, ())
    assert signals('{"type": "executed", "data": {"prompt_id": "p", "node": "1"}}')[0] == PromptId(
        "p"
    )
