"""The corpus of hostile input, at each place that takes input: refused by design, or harmless."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.adapters.fetching.urls import read_url
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.domain.errors import InputRefused, InvalidWorkflow
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.files.sources import BadSource, check_source, shown_source, without_secrets
from comfyq.domain.public_addresses import Allowed
from comfyq.domain.webhook.urls import unreachable
from comfyq.edges.a1111 import making
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.access_lab import FACADES
from tests.api_lab import ApiLab
from tests.cells import Cells
from tests.followed_jobs import FollowedJobs
from tests.hostile import BOUNDARY, BYTES, CONTENT_TYPES, FORMS, TEXTS, VALUES, pictures
from tests.paths import ROOT
from tests.socket_events import connected, event

pytestmark = pytest.mark.anyio

SD15 = {"override_settings": {"sd_model_checkpoint": "sd15"}}
BODIES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("/generate", lambda value: value),
    ("/generate", lambda value: {"graph": value}),
    ("/generate", lambda value: {"graph": {"9": value}}),
    ("/generate", lambda value: {"graph": {"9": {"class_type": value, "inputs": {}}}}),
    ("/generate", lambda value: {"graph": {"9": {"class_type": "SaveImage", "inputs": value}}}),
    (
        "/generate",
        lambda value: {"graph": {"9": {"class_type": "LoadImage", "inputs": {"image": value}}}},
    ),
    (
        "/generate",
        lambda value: {"graph": {str(value): {"class_type": "A", "inputs": {str(value): value}}}},
    ),
    ("/generate", lambda value: {"prompt": value, "seed": value}),
    ("/generate", lambda value: {"prompt": "a", "workflow": value}),
    ("/generate", lambda value: {"prompt": "a", "labels": {str(value): value}}),
    ("/generate", lambda value: {"prompt": "a", "webhook_url": value}),
    ("/generate", lambda value: {"prompt": "a", "loras": [value]}),
    ("/generate/batch", lambda value: {"requests": [value, {"prompt": value}]}),
    ("/workflows/sd15-img2img/generate", lambda value: {"prompt": "a", "image": value}),
    ("/assets/uploads", lambda value: {"name": value, "content_type": value, "size_bytes": value}),
    ("/api/v2/jobs", lambda value: {"workflow": value}),
    ("/keys", lambda value: {"name": value, "scopes": [value]}),
    ("/ws-ticket", lambda value: {"job_id": value}),
    ("/sdapi/v1/txt2img", lambda value: {str(value): value, "override_settings": {"a": value}}),
    ("/sdapi/v1/txt2img", lambda value: {"prompt": value, "styles": [value]}),
    ("/sdapi/v1/img2img", lambda value: {"init_images": [value], **SD15}),
    ("/sdapi/v1/extra-single-image", lambda value: {"image": value}),
    ("/sdapi/v1/png-info", lambda value: {"image": value}),
    ("/sdapi/v1/options", lambda value: {str(value): value}),
    ("/v2/x/run", lambda value: {"input": {"workflow": value}}),
    (
        "/v2/x/run",
        lambda value: {"input": {"workflow": {}, "images": [{"name": str(value), "image": value}]}},
    ),
    ("/prompt", lambda value: {"prompt": value}),
)
JSON = {"Content-Type": "application/json"}


def hold(answer: httpx2.Response) -> None:
    """Hold an answer to be harmless, or a refusal of ours in words that say nothing of us."""
    body = answer.json() if answer.status_code >= 400 else {}
    waits = answer.status_code == 504 and body["error"] == "job-not-ended"  # no worker is there
    assert answer.status_code < 500 or waits, answer.text[:300]
    if answer.status_code >= 400:
        error = body["error"] if "error" in body else body["code"]
        assert error if isinstance(error, str) else (error.get("code") or error["type"])
        assert "Traceback" not in answer.text
        assert "comfyq/" not in answer.text


async def test_bodies_and_graphs_are_refused_by_design_or_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "LONGEST_S", 0.0)  # of requests that wait for pictures
    monkeypatch.setattr(making, "LONGEST_HELD_S", 0.0)
    lab = ApiLab(COMFYQ_WAITING_JOBS=100_000, COMFYQ_FACADES=FACADES)
    with Cells() as cells:
        for path, body in BODIES:
            for value in VALUES:
                with cells.cell(f"{path} {json.dumps(body(0))[:70]} {value!r:.40}"):
                    sent = json.dumps(body(value)).encode()
                    hold(lab.client.post(path, content=sent, headers=JSON))
        for path in {path for path, _ in BODIES}:
            for raw in BYTES:
                with cells.cell(f"{path} {raw[:20]!r}"):
                    hold(lab.client.post(path, content=raw, headers=JSON))


async def test_files_and_forms_are_refused_by_design_or_do_no_harm() -> None:
    lab = ApiLab()
    with Cells() as cells:
        for content_type in CONTENT_TYPES:
            for form in (*FORMS, *BYTES):
                with cells.cell(f"{content_type[:40]} {form[:30]!r}"):
                    headers = {"Content-Type": content_type}
                    hold(lab.client.post("/assets", content=form, headers=headers))
        for text in TEXTS:
            named = text.encode("utf-8", "surrogatepass")
            head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\nx'
            form = head % (BOUNDARY.encode(), named) + b"\r\n--%b--" % BOUNDARY.encode()
            with cells.cell(f"filename {text!r:.40}"):
                headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
                hold(lab.client.post("/assets", content=form, headers=headers))
        for picture in pictures():
            with cells.cell(f"picture {picture[:20]!r}"):
                headers = {"Content-Type": "image/png"}
                hold(lab.client.post("/assets", content=picture, headers=headers))


async def test_a_worker_makes_nothing_of_broken_pictures_but_a_refusal() -> None:
    file = InputFile(parameter="image", node="1", input="image", kind="image", source="asset")
    with Cells() as cells:
        for picture in (*pictures(), *BYTES):
            with cells.cell(f"{picture[:20]!r}"), suppress(InputRefused):
                await PillowPictures().prepare(picture, file)


async def test_urls_are_refused_by_design_or_read() -> None:
    with Cells() as cells:
        for text in (*TEXTS, *(f"http://a.example/{each}" for each in TEXTS)):
            with cells.cell(f"{text!r:.60}"):
                with suppress(InputRefused):
                    read_url(text)
                with suppress(BadSource):
                    check_source(text)
                shown_source(text), without_secrets(text)
        for text in TEXTS:
            if text.startswith(("http://", "https://")):
                with cells.cell(f"webhook {text!r:.60}"), suppress(ValueError):
                    unreachable(text, Allowed())


def frames() -> Iterator[str]:
    yield from TEXTS
    yield from (raw.decode("latin-1") for raw in BYTES)
    for value in VALUES:
        for name in ("job_id", "job_ids", "batch_id", "since", "previews", "more"):
            yield json.dumps({"action": "subscribe", "job_id": "job-1", name: value})
        yield json.dumps({"action": value, "job_id": value})
        yield json.dumps(value)


async def test_frames_are_answered_whatever_they_are() -> None:
    notifier = MemoryNotifier()
    world = FollowedJobs(notifier)
    handler = WebSocketHandler(
        subscriptions=world.subscriptions, notifier=notifier, authenticator=LocalOwner()
    )
    with Cells() as cells:
        for number, text in enumerate(frames()):
            socket = f"s{number // 1_000}"
            if number % 1_000 == 0:
                assert await connected(handler, socket, None) == (200, "")
            for route in ("subscribe", "unsubscribe", "$default"):
                with cells.cell(f"{route} {text[:60]!r}"):
                    answer = await handler.handle(event(route, socket, body=text))
                    assert answer["statusCode"] in (200, 429)
                    assert b"Traceback" not in notifier.posts[-1][1]


async def test_a_workflow_of_a_stranger_is_refused_in_words_or_read(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(ROOT / "workflows" / "sd15", folder)
    manifest, graph = folder / "manifest.toml", folder / "graph.json"
    plain = manifest.read_bytes()
    lines = [b"title = ", b"[parameters.x]\nkind = ", b"[limits]\nrun_timeout_s = "]
    written = [line + json.dumps(value).encode() for line in lines for value in VALUES[:60]]
    with Cells() as cells:
        for raw in (*BYTES, *written, *(plain + b"\n" + each for each in written)):
            manifest.write_bytes(raw)
            with cells.cell(f"manifest {raw[-40:]!r}"), suppress(InvalidWorkflow):
                load_workflow(folder)
        manifest.write_bytes(plain)
        for raw in (*BYTES, *(json.dumps({"9": each}).encode() for each in VALUES)):
            graph.write_bytes(raw)
            with cells.cell(f"graph {raw[:40]!r}"), suppress(InvalidWorkflow):
                load_workflow(folder)
