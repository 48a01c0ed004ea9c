"""Pictures by OpenAI's API over in-memory ports, with jobs that a test moves by hand."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobError, JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.api.bodies import MAX_BODY_BYTES
from comfyq.edges.api.serving.inline_files import HELD_BYTES
from comfyq.records.batches.members import member_id
from tests.access_lab import FACADES, AccessLab
from tests.api_lab import ApiLab, output
from tests.cells import Cells
from tests.event_lab import EventLab, reading
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

GENERATIONS, EDITS, MODELS = "/v1/images/generations", "/v1/images/edits", "/v1/models"
FOX = {"prompt": "a fox", "model": "sd15"}
CONTENT = b"0123456789"
B64 = b64encode(CONTENT).decode()
SHORT = {"x-stainless-read-timeout": "0.02"}  # seconds for which the client waits
KEY = {"Idempotency-Key": "mine"}
JSON = {"Content-Type": "application/json"}
RGB, RGBA = 2, 6


def png(colour: int) -> bytes:
    """Return how a PNG begins."""
    size = (64).to_bytes(4, "big") * 2
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + bytes([8, colour]) + bytes(40)


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000")


@pytest.fixture
def lab() -> EventLab:
    lab = EventLab()
    lab.store(output(), CONTENT)
    return lab


async def held(lab: EventLab) -> JobId:
    """Wait until a request is held; return the job that it waits for."""
    return next(iter(await held_all(lab, 1)))


async def held_all(lab: EventLab, number: int) -> set[JobId]:
    """Wait until a request is held; return the jobs that it waits for, of which there are so many
    at least."""

    def jobs() -> set[JobId]:
        followed = {pk for pk, sk in lab.table._items if "SUB#" in sk and pk.startswith("JOB#")}
        return {JobId(pk.removeprefix("JOB#")) for pk in followed}

    await until(lambda: len(jobs()) >= number)
    return jobs()


def batch_of(lab: AccessLab, size: int) -> list[JobId]:
    """Return the jobs of the batch that a request has made, in order."""
    [batch] = [pk for pk, sk in lab.table._items if pk.startswith("BATCH#") and sk == "META"]
    return [member_id(BatchId(batch.removeprefix("BATCH#")), index) for index in range(size)]


async def finish(lab: EventLab, job_id: JobId) -> None:
    await lab.announce(await lab.succeed(job_id, output()))


def told_error(answer: httpx2.Response) -> tuple[int, str, str | None, str | None]:
    """Return status, type, param and code of an error, which must be in OpenAI's envelope."""
    assert answer.headers["content-type"] == "application/json", answer.text
    error = answer.json()["error"]
    assert answer.json().keys() == {"error"}
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code, error["type"], error["param"], error["code"]


# --- pictures


@pytest.mark.parametrize("response_format", [None, "b64_json", "url"])
async def test_a_picture_is_in_the_answer(lab: EventLab, response_format: str | None) -> None:
    asked = FOX | {"response_format": response_format, "size": "512x256"}
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(GENERATIONS, json=asked))
        job_id = await held(lab)
        await finish(lab, job_id)
        answer = await sent
        assert answer.status_code == 200, answer.text
        [picture] = answer.json()["data"]
        assert answer.json()["output_format"] == "png"
        assert answer.json()["created"] == int(lab.clock.now().timestamp())
        assert answer.headers["x-comfyq-jobs"] == job_id
        assert picture.keys() == ({response_format} if response_format else {"url", "b64_json"})
        assert picture.get("b64_json", B64) == B64
        if "url" in picture:
            assert (await client.get(picture["url"])).content == CONTENT
    latent = (await lab.records.spec(job_id)).graph["5"]["inputs"]
    assert (latent["width"], latent["height"]) == (512, 256)
    assert (lab.followers, lab.streams.live) == (set(), {})


async def test_several_pictures_are_made_by_a_job_each(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        asked = FOX | {"n": 3, "seed": 7}
        sent = asyncio.create_task(client.post(GENERATIONS, json=asked, headers=KEY))
        for job_id in await held_all(lab, 3):
            await finish(lab, job_id)
        answer = await sent
        assert [each["b64_json"] for each in answer.json()["data"]] == [B64] * 3
        specs = [
            await lab.records.spec(JobId(each))
            for each in answer.headers["x-comfyq-jobs"].split(",")
        ]
        assert [spec.parameters["seed"] for spec in specs] == [7, 8, 9]
        assert (lab.followers, lab.streams.live) == (set(), {})
        again = await client.post(GENERATIONS, json=asked, headers=KEY)
        assert again.headers["x-comfyq-jobs"] == answer.headers["x-comfyq-jobs"]
        wrong = await client.post(GENERATIONS, json=FOX | {"n": 2, "steps": 0})
        assert told_error(wrong) == (400, "invalid_request_error", "steps", "invalid_parameters")


async def test_a_form_has_the_picture_to_edit_and_its_mask(lab: EventLab) -> None:
    files = {"image": ("a.png", png(RGB)), "mask": ("m.png", png(RGBA))}
    fields = {"prompt": "a hat", "model": "sd15-inpaint", "n": "1", "steps": "4", "size": "64x64"}
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(EDITS, files=files, data=fields))
        job_id = await held(lab)
        await finish(lab, job_id)
        assert (await sent).status_code == 200
    spec = await lab.records.spec(job_id)
    assert spec.parameters["steps"] == 4
    assert spec.graph["13"]["inputs"]["channel"] == "alpha"
    stored = {each.parameter: each.source for each in spec.inputs}
    assert stored.keys() == {"image", "mask"}
    assert all(source.startswith("asset:") for source in stored.values())
    assert stored["image"] != stored["mask"]


BAD_EDITS: Mapping[str, tuple[dict[str, Any], dict[str, str], str | None, str]] = {
    "no picture": ({}, {}, "image", "is missing"),
    "no model": ({"image": png(RGB)}, {"model": ""}, "model", "sd15-img2img, sd15-inpaint"),
    "opaque mask": ({"image": png(RGB), "mask": png(RGB)}, {}, "mask", "no transparent part"),
    "JPEG as mask": (
        {"image": png(RGB), "mask": b"\xff\xd8\xff\xe0"},
        {},
        "mask",
        "no transparent",
    ),
    "empty": ({"image": b""}, {}, "image", "empty file"),
    "unknown file": ({"video": b"x"}, {}, "video", "send `image` and `mask`"),
    "n": ({"image": png(RGB)}, {"n": "11"}, "n", "less than or equal to 10"),
    "mask is needed": ({"image": png(RGB)}, {}, "mask", "is required"),
    "source": (
        {},
        {"image_url": "ftp://x/a.png", "model": "sd15-img2img"},
        "image",
        "must be the id of an asset",
    ),
}


def test_a_form_that_is_no_edit_says_why() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    with Cells() as cells:
        for name, (files, fields, param, reason) in BAD_EDITS.items():
            with cells.cell(name):
                parts: list[Any] = [(key, ("a", content)) for key, content in files.items()]
                parts = parts or [("user", (None, "me"))]  # a form all the same
                sent = {"prompt": "a hat", "model": "sd15-inpaint", **fields}
                answer = lab.client.post(EDITS, files=parts, data=sent)
                assert told_error(answer)[:3] == (400, "invalid_request_error", param)
                assert reason in answer.json()["error"]["message"]
    twice = [("image[]", ("a", png(RGB))), ("image[]", ("b", png(RGBA)))]
    answer = lab.client.post(EDITS, files=twice, data=FOX | {"model": "sd15-img2img"})
    assert "takes 1 picture, and 2 were sent" in answer.json()["error"]["message"]


# --- no pictures


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("node-error", (500, "server_error", None, "node_error")),
        ("input-invalid", (400, "invalid_request_error", None, "input_invalid")),
    ],
)
async def test_a_job_that_fails_is_told_while_others_run_and_not_tried_again(
    lab: EventLab, monkeypatch: pytest.MonkeyPatch, code: str, told: tuple[Any, ...]
) -> None:
    monkeypatch.setattr("comfyq.services.notify.batch_news.LEAST_PAUSE", timedelta(seconds=0.01))
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(GENERATIONS, json=FOX | {"n": 2}))
        await held_all(lab, 2)
        other, failing = batch_of(lab, 2)
        await lab.announce(await lab.fail(failing, JobError(code, "it broke")))
        answer = await sent
    assert told_error(answer) == told
    assert "it broke" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-comfyq-jobs"] == f"{other},{failing}"
    assert (await lab.records.get(other)).status == "canceled", "nobody gets its picture"
    assert (lab.followers, lab.streams.live) == (set(), {})


async def test_what_is_no_picture_and_what_is_too_large_is_told(lab: EventLab) -> None:
    large = replace(output("b.png"), size=HELD_BYTES + 1)
    cases = {
        "no_picture": output("a.txt", kind=OutputKind.TEXT),
        "answer_too_large": large,
    }
    for code, made in cases.items():
        async with client_of(lab.app) as client:
            asked = FOX | {"response_format": "b64_json"}
            sent = asyncio.create_task(client.post(GENERATIONS, json=asked))
            job_id = await held(lab)
            await lab.announce(await lab.succeed(job_id, made))
            answer = await sent
        assert told_error(answer) == (400, "invalid_request_error", None, code)
        assert f"/generate/{job_id}" in answer.json()["error"]["message"]


async def test_where_the_time_is_over_the_job_goes_on_and_is_named() -> None:
    lab = AccessLab(COMFYQ_AUTH="none")  # it holds no answers open, as on Lambda
    lab.store(output(), CONTENT)
    async with client_of(lab.app) as client:
        late = await client.post(GENERATIONS, json=FOX, headers=SHORT)
        assert told_error(late) == (504, "server_error", None, "job_not_ended")
        assert late.headers["x-should-retry"] == "false", "another job would be made"
        job_id = late.headers["x-comfyq-jobs"]
        assert f"/generate/{job_id}" in late.json()["error"]["message"]
        assert (await lab.records.get(JobId(job_id))).status == "queued"

        keyed = await client.post(GENERATIONS, json=FOX, headers=SHORT | KEY)
        assert keyed.headers["x-should-retry"] == "true", "it waits for the same job"
        await lab.succeed(keyed.headers["x-comfyq-jobs"], output())
        again = await client.post(GENERATIONS, json=FOX, headers=SHORT | KEY)
        assert again.status_code == 200
        assert again.headers["x-comfyq-jobs"] == keyed.headers["x-comfyq-jobs"] != job_id


async def test_where_nothing_is_pushed_a_job_that_fails_is_told_while_others_run() -> None:
    lab = AccessLab(COMFYQ_AUTH="none")
    async with client_of(lab.app) as client:
        patient = {"x-stainless-read-timeout": "20"}
        asked = FOX | {"n": 3}
        sent = asyncio.create_task(client.post(GENERATIONS, json=asked, headers=patient))
        await until(lambda: sum(sk == "SPEC" for _, sk in lab.table._items) == 3)
        *others, failing = batch_of(lab, 3)
        await lab.fail(failing, JobError("node-error", "it broke"))
        assert told_error(await sent)[3] == "node_error"
        ended = [await lab.records.get(each) for each in others]
        assert {each.status for each in ended} == {JobStatus.CANCELED}


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(("headers", "status"), [({}, "canceled"), (KEY, "queued")])
async def test_a_client_that_leaves_leaves_only_what_it_can_ask_for_again(
    lab: EventLab, headers: dict[str, str], status: str, n: int
) -> None:
    async with reading(lab.app, GENERATIONS, headers=headers, posted=FOX | {"n": n}) as reader:
        job_ids = await held_all(lab, n)
        reader.leave()
        await reader.end()
    assert [(await lab.records.get(job_id)).status for job_id in job_ids] == [status] * n
    assert (lab.followers, lab.streams.live) == (set(), {})


async def test_where_there_is_no_place_to_wait_nothing_is_made() -> None:
    lab = EventLab(most_streams=1)
    async with client_of(lab.app) as client:
        first = asyncio.create_task(client.post(GENERATIONS, json=FOX))
        waiting = await held(lab)
        answer = await client.post(GENERATIONS, json=FOX)
        assert told_error(answer) == (503, "server_error", None, "too_many_streams")
        made = {pk for pk, _ in lab.table._items if pk.startswith("JOB#")}
        [refused] = {pk.removeprefix("JOB#") for pk in made} - {waiting}
        assert (await lab.records.get(JobId(refused))).status == "canceled"
        await finish(lab, waiting)
        await first


# --- models, and errors


def test_models_are_workflows() -> None:
    client = ApiLab(COMFYQ_FACADES=FACADES).client
    models = client.get(MODELS).json()
    assert models["object"] == "list"
    names = {each["id"] for each in models["data"]}
    assert {"sd15", "sdxl", "flux-dev", "upscale-4x"} <= names
    assert names.isdisjoint({"wan22-t2v", "wan22-i2v", "stable-audio"}), "they make no pictures"
    assert all(
        each | {"object": "model", "owned_by": "comfyq", "created": 0} == each
        for each in models["data"]
    )
    assert (
        client.get(f"{MODELS}/sd15").json()
        == models["data"][[each["id"] for each in models["data"]].index("sd15")]
    )


ERRORS: Mapping[str, tuple[str, str, dict[str, Any], tuple[int, str | None, str]]] = {
    "no route": ("GET", "/v1/chat/completions", {}, (404, None, "not_found")),
    "no model": ("GET", f"{MODELS}/dall-e-3", {}, (404, None, "model_not_found")),
    "video": ("GET", f"{MODELS}/wan22-t2v", {}, (404, None, "model_not_found")),
    "model of sounds": (
        "POST",
        GENERATIONS,
        {"json": FOX | {"model": "stable-audio"}},
        (404, None, "model_not_found"),
    ),
    "model": (
        "POST",
        GENERATIONS,
        {"json": FOX | {"model": "gpt-image-1"}},
        (404, None, "model_not_found"),
    ),
    "method": ("GET", GENERATIONS, {}, (405, None, "method_not_allowed")),
    "no JSON": (
        "POST",
        GENERATIONS,
        {"content": b"{", "headers": JSON},
        (400, None, "invalid_json"),
    ),
    "no prompt": ("POST", GENERATIONS, {"json": {}}, (400, "prompt", "invalid_request")),
    "other type": ("POST", GENERATIONS, {"content": b"{}"}, (400, None, "unsupported_media_type")),
    "no form": ("POST", EDITS, {"json": FOX}, (400, None, "bad_request")),
    "size": (
        "POST",
        GENERATIONS,
        {"json": FOX | {"size": "9x64"}},
        (400, "size", "invalid_parameters"),
    ),
    "unknown": (
        "POST",
        GENERATIONS,
        {"json": FOX | {"stesp": 3}},
        (400, "stesp", "invalid_parameters"),
    ),
    "n": ("POST", GENERATIONS, {"json": FOX | {"n": 0}}, (400, "n", "invalid_request")),
    "large": (
        "POST",
        GENERATIONS,
        {"content": b" " * (MAX_BODY_BYTES + 1), "headers": JSON},
        (413, None, "too_large"),
    ),
}


def test_errors_are_in_the_form_of_the_api() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    with Cells() as cells:
        for name, (method, path, request, (status, param, code)) in ERRORS.items():
            with cells.cell(name):
                answer = lab.client.request(method, path, **request)
                assert told_error(answer) == (status, "invalid_request_error", param, code)


async def test_who_is_not_known_and_who_asks_too_often() -> None:
    keyed = AccessLab(COMFYQ_REQUESTS_PER_MINUTE="1")
    nobody = keyed.ask("GET", MODELS, "cq_x")
    assert told_error(nobody) == (401, "invalid_request_error", None, "invalid_api_key")
    key = await keyed.key()
    keyed.ask("POST", GENERATIONS, key, json=FOX, headers=SHORT)
    often = keyed.ask("POST", GENERATIONS, key, json=FOX, headers=SHORT)
    assert told_error(often) == (429, "requests", None, "rate_limit_exceeded")
    assert int(often.headers["retry-after"]) > 0


def test_it_is_off_unless_switched_on() -> None:
    assert told_error(ApiLab().client.get(MODELS))[::3] == (404, "not_found")
