"""Reading of ComfyUI's messages, as recorded from 0.3.75 and 0.33.0."""

import asyncio
import json
import struct
from typing import Any

import pytest

from comfyq.adapters.comfyui.submit import refusal
from comfyq.adapters.comfyui.tracking import history, messages
from comfyq.adapters.comfyui.tracking.mailbox import Mailbox
from comfyq.adapters.comfyui.tracking.messages import (
    PromptSettled,
    PromptSettling,
    QueueChanged,
    preview,
    signals,
)
from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import (
    DeviceFault,
    GraphRefused,
    NodeFailed,
    OutOfMemory,
    PromptInterrupted,
    Rendered,
    Started,
)
from tests.paths import DATA

LONG_S = 10.0  # longer than anything here takes
RECORDED = DATA / "comfyui_messages"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def node_error(name: str) -> list[messages.Signal]:
    lines = (RECORDED / name).read_text().splitlines()
    said = [signal for line in lines for signal in signals(line)[1]]
    return [signal for signal in said if signal != QueueChanged()]


def text(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": {"prompt_id": "p", **data}})


class TestSocketMessages:
    def test_a_trivial_run(self) -> None:
        said = node_error("trivial_run.jsonl")
        assert said[0] == Started()
        assert said[-2:] == [PromptSettling(), PromptSettled()]
        assert Advance("1", done=True) in said
        assert Advance("2", done=True) in said

    def test_a_sampler_tells_its_steps(self) -> None:
        said = node_error("flux_run.jsonl")
        assert Advance("13", step=1, max_steps=20) in said
        assert Advance("13", step=20, max_steps=20, done=True) in said

    def test_a_node_without_steps_is_not_shown_as_zero_of_one(self) -> None:
        said = node_error("flux_run.jsonl")
        assert {a.max_steps for a in said if isinstance(a, Advance) and a.node != "13"} == {0}

    def test_cached_nodes_are_done(self) -> None:
        lines = (RECORDED / "cached_run.jsonl").read_text().splitlines()
        (cached,) = [line for line in lines if "execution_cached" in line]
        nodes = json.loads(cached)["data"]["nodes"]
        assert len(nodes) > 1
        assert list(signals(cached)[1]) == [Advance(node, done=True, cached=True) for node in nodes]

    def test_the_prompt_is_named(self) -> None:
        assert signals(text("execution_start"))[0] == "p"

    @pytest.mark.parametrize("kind", ["execution_error", "execution_interrupted"])
    def test_a_bad_end_is_an_end(self, kind: str) -> None:
        assert list(signals(text(kind))[1]) == [PromptSettling()]

    def test_a_changed_queue_is_told_to_everybody(self) -> None:
        status = '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1}}}}'
        assert signals(status) == (None, (QueueChanged(),))

    def test_after_a_reconnect_the_first_message_names_no_prompt(self) -> None:
        assert signals('{"type": "executing", "data": {"node": "3"}}') == (None, ())

    def test_a_node_inside_an_expanded_node_is_shown_as_that_node(self) -> None:
        inner = {"value": 3, "max": 8, "state": "running", "display_node_id": "5"}
        said = signals(text("progress_state", nodes={"5.0.0.2": inner}))[1]
        assert list(said) == [Advance("5", step=3, max_steps=8)]

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "no json",
            "[]",
            "null",
            '{"type": "executing"}',
            '{"type": "progress", "data": {"prompt_id": "p", "value": "much"}}',
            '{"type": "progress_state", "data": {"prompt_id": "p", "nodes": [1]}}',
            '{"type": "execution_cached", "data": {"prompt_id": "p", "nodes": null}}',
            '{"type": "executing", "data": "nothing"}',
        ],
    )
    def test_what_a_custom_node_may_send_says_nothing(self, line: str) -> None:
        assert list(signals(line)[1]) == []

    def test_unknown_types_are_ignored(self) -> None:
        assert list(signals(text("crystools.monitor", cpu=3))[1]) == []


class TestPreviews:
    def test_one_with_metadata(self) -> None:
        about = {"prompt_id": "p", "display_node_id": "13", "image_type": "image/jpeg"}
        head = json.dumps(about).encode()
        shown = preview(struct.pack(">II", 4, len(head)) + head + b"\xff\xd8...")
        assert shown is not None
        assert (shown.prompt_id, shown.node, shown.image) == ("p", "13", b"\xff\xd8...")

    @pytest.mark.parametrize(
        "frame",
        [b"", b"\0\0", struct.pack(">II", 1, 1) + b"\xff\xd8", struct.pack(">II", 4, 99) + b"{"],
    )
    def test_anything_else_is_none(self, frame: bytes) -> None:
        assert preview(frame) is None


class TestInbox:
    def test_what_is_told_three_times_is_read_once(self) -> None:
        inbox = Mailbox(client_id="c")
        for signal in node_error("flux_run.jsonl"):
            inbox.put(signal)
        read = inbox.read()
        assert len(read) == len(set(read))
        assert read[-1] == Advance("9", done=True)
        assert inbox.started
        assert inbox.settled

    def test_a_slow_follower_costs_a_bounded_number_and_never_the_end(self) -> None:
        inbox = Mailbox(client_id="c")
        for step in range(10_000):
            inbox.put(Advance("3", step=step + 1, max_steps=10_000))
        inbox.put(PromptSettled())
        read = inbox.read()
        assert len(read) < 1_000
        assert read[-1].step == 10_000
        assert inbox.settled

    @pytest.mark.anyio
    async def test_a_start_and_an_end_wake_at_once_and_progress_soon(self) -> None:
        inbox = Mailbox(client_id="c")
        for signal in (Started(), PromptSettled()):
            waiting = asyncio.create_task(inbox.wait(LONG_S))
            await turns()
            inbox.put(Advance("3"))
            await turns()
            if inbox.started and signal == PromptSettled():
                assert not waiting.done(), "more may come in a moment"
            inbox.put(signal)
            await turns()
            assert waiting.done()
            assert await waiting
            inbox.read()
        inbox.put(Advance("4"))
        assert await inbox.wait(LONG_S), "progress wakes too"
        assert inbox.read() == [Advance("4")]

    @pytest.mark.anyio
    async def test_a_wait_in_which_nothing_comes_ends(self) -> None:
        assert not await Mailbox(client_id="c").wait(0.001)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestHistory:
    def test_the_files_of_a_run(self) -> None:
        files = history.read_results(recorded("history_flux.json")).rendered
        assert files == [Rendered("9", "flux_00003_.png")]

    def test_previews_do_not_count_beside_saved_files(self) -> None:
        files = history.read_results(recorded("history_multi.json")).rendered
        assert [(r.node, r.folder, r.subfolder) for r in files] == [("5", "output", "multi")] * 2

    def test_previews_count_where_nothing_was_saved(self) -> None:
        item = recorded("history_multi.json")
        del item["outputs"]["5"]
        assert [r.folder for r in history.read_results(item).rendered] == ["temp", "temp"]

    def test_a_text(self) -> None:
        files = history.read_results(recorded("history_text.json")).rendered
        assert files == [Rendered("2", filename="", text="hello world")]

    @pytest.mark.parametrize(
        ("name", "suffix"), [("history_audio.json", ".flac"), ("history_webm.json", ".webm")]
    )
    def test_sound_and_video(self, name: str, suffix: str) -> None:
        [file] = history.read_results(recorded(name)).rendered
        assert file.filename.endswith(suffix)

    def test_files_under_any_name_in_the_order_of_node_ids(self) -> None:
        file = {"filename": "a", "type": "output"}
        outputs = {n: {key: [file]} for n, key in [("10", "gifs"), ("9", "3d"), ("a", "files")]}
        item = {"outputs": outputs, "prompt": [0, "p", {}, {}, ["10", "9", "a"]]}
        assert [r.node for r in history.read_results(item).rendered] == ["9", "10", "a"]

    def test_only_output_nodes_count(self) -> None:
        item = recorded("history_flux.json")
        item["outputs"]["8"] = {"images": [{"filename": "x.png", "type": "output"}]}
        assert [r.node for r in history.read_results(item).rendered] == ["9"]

    def test_the_inside_of_an_expanded_output_node_counts(self) -> None:
        item = recorded("history_flux.json")
        item["outputs"]["9.0.1"] = {"images": [{"filename": "x.png", "type": "output"}]}
        item["meta"]["9.0.1"] = {"display_node": "9"}
        assert {r.node for r in history.read_results(item).rendered} == {"9", "9.0.1"}

    def test_a_node_that_raised(self) -> None:
        with pytest.raises(NodeFailed) as caught:
            history.read_results(recorded("history_node_failed.json"))
        error = caught.value.error
        assert type(caught.value) is NodeFailed
        assert (error.node, error.class_type) == ("8", "VAEDecode")
        assert error.message.startswith("Given groups=1")
        assert any("VAEDecode" in line or "vae" in line for line in error.details)

    def test_out_of_memory(self) -> None:
        with pytest.raises(OutOfMemory, match=r"99\.00 GiB"):
            history.read_results(recorded("history_out_of_memory.json"))

    def test_an_interrupt_is_told_by_the_last_message(self) -> None:
        item = recorded("history_interrupted.json")
        assert item["status"]["status_str"] == "error"
        with pytest.raises(PromptInterrupted):
            history.read_results(item)

    @pytest.mark.parametrize(
        ("exception_type", "message", "kind"),
        [
            ("torch.cuda.OutOfMemoryError", "Allocation on device", OutOfMemory),
            ("RuntimeError", "CUDA error: out of memory", OutOfMemory),
            ("RuntimeError", "CUDA error: an illegal memory access", DeviceFault),
            ("torch.AcceleratorError", "unspecified launch failure", DeviceFault),
            ("RuntimeError", "device-side assert triggered", DeviceFault),
            ("RuntimeError", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", DeviceFault),
            ("ValueError", "there is no room in the boom box", NodeFailed),
        ],
    )
    def test_kinds_of_failure(
        self, exception_type: str, message: str, kind: type[NodeFailed]
    ) -> None:
        item = recorded("history_node_failed.json")
        data = item["status"]["messages"][-1][1]
        data |= {"exception_type": exception_type, "exception_message": message}
        assert type(history.failed(item)) is kind

    def test_tensors_are_not_carried(self) -> None:
        item = recorded("history_node_failed.json")
        data = item["status"]["messages"][-1][1]
        data["exception_message"] = "x" * 100_000
        data["current_inputs"] = {"samples": ["tensor(" + "0.1, " * 100_000]}
        data["traceback"] = ["line " * 50_000] * 1_000
        failure = history.failed(item)
        assert isinstance(failure, NodeFailed)
        assert len(failure.error.message) == 2_000
        assert sum(map(len, failure.error.details)) < 10_000


class TestRefusals:
    def refused(self, name: str) -> GraphRefused:
        case = recorded("refusals.json")[name]
        return refusal.graph_refused(case["body"], case["graph"], {})

    @pytest.mark.parametrize("version", ["0.3.75", "0.33.0"])
    def test_a_wrong_name(self, version: str) -> None:
        (error,) = self.refused(f"{version} ckpt_not_in_list").errors
        assert (error.node, error.class_type) == ("4", "CheckpointLoaderSimple")
        assert "ckpt_name" in error.message
        assert "nope.safetensors" in error.message
        assert set(error.details) == {"full_sd15.ckpt", "shared_sd15.ckpt"}

    @pytest.mark.parametrize("version", ["0.3.75", "0.33.0"])
    def test_an_unknown_class_names_its_node(self, version: str) -> None:
        (error,) = self.refused(f"{version} missing_class").errors
        assert (error.node, error.class_type) == ("1", "NoSuchNode")

    def test_a_missing_input(self) -> None:
        refused = self.refused("0.3.75 required_input_missing")
        assert "EmptyImage (1): width: Required input is missing" in str(refused)

    def test_no_node_to_blame(self) -> None:
        refused = self.refused("0.3.75 no_outputs")
        assert (str(refused), refused.errors) == ("Prompt has no outputs", ())

    def test_accepted_in_part(self) -> None:
        refused = self.refused("0.33.0 PARTIALLY_VALID_is_200")
        assert refused.errors[0].class_type == "LoadImage"
        assert "nope.png" in refused.errors[0].details[0]

    def test_names_come_from_the_catalogue_where_the_list_is_too_long_to_send(self) -> None:
        case = recorded("refusals.json")["0.3.75 ckpt_not_in_list"]
        error = case["body"]["node_errors"]["4"]["errors"][0]
        error["extra_info"] |= {"input_config": None, "received_value": "sd15_v2"}
        names = [f"flux_{n}" for n in range(200)] + ["sd15_v1"]
        info = {"input": {"required": {"ckpt_name": ["COMBO", {"options": names}]}}}
        assert refusal.classes_without_names(case["body"]) == {"CheckpointLoaderSimple"}
        catalogue = {"CheckpointLoaderSimple": info}
        (node_error,) = refusal.graph_refused(case["body"], case["graph"], catalogue).errors
        assert node_error.details[0] == "sd15_v1"
        assert len(node_error.details) == 50
