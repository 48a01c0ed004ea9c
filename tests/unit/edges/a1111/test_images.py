"""Pictures by AUTOMATIC1111's API over in-memory ports, with jobs that a test moves by hand."""

import asyncio
import io
import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import pytest
from PIL import Image, PngImagePlugin

from comfyq.domain import job as jobs_of
from comfyq.domain.caller import Scope
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Progress
from comfyq.domain.job.worker_changes import confirm_cancel
from comfyq.edges.a1111 import making
from comfyq.edges.websocket.rendering import render_preview
from tests.access_lab import FACADES, OTHER, AccessLab
from tests.api_lab import ApiLab, output
from tests.cells import Cells
from tests.event_lab import EventLab
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

API = "/sdapi/v1"
CONTENT = b"0123456789"
B64 = b64encode(CONTENT).decode()
MODEL = {"override_settings": {"sd_model_checkpoint": "sd15"}}
FOX: dict[str, Any] = {"prompt": "a fox", **MODEL}
JSON = {"Content-Type": "application/json"}


def png(**texts: str) -> str:
    """Return a picture with texts in it, as base64."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return b64encode(file.getvalue()).decode()


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000")


def told_error(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """Return status, code and fields of an error, which must be in AUTOMATIC1111's form."""
    assert answer.headers["content-type"] == "application/json", answer.text
    error = answer.json()
    assert error.keys() == {"error", "detail", "body", "errors"}
    assert error["errors"]
    if not isinstance(error["detail"], list):
        assert error["detail"] == error["errors"]
        return answer.status_code, error["error"], []
    assert all(each.keys() == {"loc", "msg", "type"} for each in error["detail"])
    return (
        answer.status_code,
        error["error"],
        [".".join(each["loc"][1:]) for each in error["detail"]],
    )


@pytest.fixture
def lab() -> EventLab:
    lab = EventLab()
    lab.store(output(), CONTENT)
    return lab


async def held(lab: EventLab, number: int = 1) -> list[JobId]:
    """Wait until a request is held; return the jobs that it waits for, the first first."""

    def jobs() -> set[JobId]:
        followed = {pk for pk, sk in lab.table._items if "SUB#" in sk and pk.startswith("JOB#")}
        return {JobId(pk.removeprefix("JOB#")) for pk in followed}

    await until(lambda: len(jobs()) >= number)
    specs = [(await lab.records.spec(each), each) for each in jobs()]
    return [each for _, each in sorted(specs, key=lambda pair: pair[0].parameters["seed"])]


async def finish(lab: EventLab, job_id: JobId) -> None:
    await lab.announce(await lab.succeed(job_id, output()))


async def test_a_picture_is_in_the_answer_with_how_it_was_made(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        body = FOX | {"seed": 7, "steps": 4, "mask_blur": 4, "sampler_name": "Euler a"}
        sent = asyncio.create_task(client.post(f"{API}/txt2img", json=body))
        [job_id] = await held(lab)
        await finish(lab, job_id)
        answer = (await sent).json()
    assert answer["images"] == [B64]
    assert answer["parameters"] == body
    info = json.loads(answer["info"])
    assert (info["seed"], info["all_seeds"], info["steps"]) == (7, [7], 4)
    assert (info["sampler_name"], info["sd_model_name"]) == ("Euler a", "sd15")
    assert "Steps: 4, Sampler: Euler a" in info["infotexts"][0]
    graph = (await lab.records.spec(job_id)).graph
    assert graph["3"]["inputs"]["sampler_name"] == "euler_ancestral"
    assert (lab.followers, lab.streams.live) == (set(), {})


@pytest.mark.parametrize("number", [1, 3])
async def test_progress_has_the_newest_preview(lab: EventLab, number: int) -> None:
    async def shown(client: httpx2.AsyncClient, query: str = "") -> Any:
        answer = await client.get(f"{API}/progress{query}")
        return answer.json()["current_image"]

    def is_kept(picture: str) -> bool:
        return lab.services.newest_previews.of(job.id) == picture

    async with client_of(lab.app) as client:
        assert (await client.get(f"{API}/options")).json()["live_previews_enable"] is True
        sent = asyncio.create_task(
            client.post(f"{API}/txt2img", json=FOX | {"seed": 7, "n_iter": number})
        )
        jobs = await held(lab, number)
        job = await lab.start(jobs[0])
        assert await shown(client) is None
        for content in (b"first", b"second"):
            [follower] = await lab.services.followers.of_job(job.id)
            assert follower.previews, "the worker makes some"
            frame = render_preview(job, "3", SmallPicture(content, "image/jpeg", 64, 64))
            await lab.services.job_followers.post(job.id, [follower], frame)
            told = b64encode(content).decode()
            await until(partial(is_kept, told))
            assert await shown(client) == told
            assert await shown(client, "?skip_current_image=true") is None
        await lab.announce(
            await lab.change(job.id, partial(jobs_of.succeed, token=1), outputs=[output()])
        )
        for job_id in jobs[1:]:
            await finish(lab, job_id)
        assert (await sent).json()["images"] == [B64] * number
        assert await shown(client) is None, "nothing is made"


async def test_pictures_and_masks_that_are_sent_lead_to_the_workflow_that_takes_them(
    lab: EventLab,
) -> None:
    body = FOX | {"init_images": [f"data:image/png;base64,{png()}"]}
    async with client_of(lab.app) as client:
        for rest, name in (({}, "sd15-img2img"), ({"mask": png(a="b")}, "sd15-inpaint")):
            sent = asyncio.create_task(client.post(f"{API}/img2img", json=body | rest))
            [job_id] = await held(lab)
            await finish(lab, job_id)
            answer = await sent
            assert answer.json()["images"] == [B64], answer.text
            assert answer.json()["parameters"] == FOX, "files are not sent back"
            job, spec = await lab.records.get(job_id), await lab.records.spec(job_id)
            assert job.workflow == name
            assert len({each.source for each in spec.inputs}) == 1 + len(rest)


async def test_interrupted_ones_are_left_out_and_skipped_ones_keep_the_others(
    lab: EventLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress and both of them are of the caller's own requests by this API."""
    seen: set[JobId] = set()  # by whoever waits, when they were skipped

    def spoils(job: Job, original: Callable[[Job], bool] = making.spoils) -> bool:
        seen.update([job.id] if job.status is JobStatus.CANCELED else [])
        return original(job)

    monkeypatch.setattr(making, "spoils", spoils)
    other = JobId(lab.submit()["id"])
    async with client_of(lab.app) as client:

        async def progress() -> dict[str, Any]:
            shown: dict[str, Any] = (await client.get(f"{API}/progress")).json()
            assert shown["current_image"] is None
            return shown

        assert (await progress())["state"]["job_count"] == 0
        body = FOX | {"n_iter": 4, "seed": 7}
        sent = asyncio.create_task(client.post(f"{API}/txt2img", json=body))
        jobs = await held(lab, 4)
        await lab.start(jobs[0])
        await lab.advance(jobs[0], Progress(fraction=0.6, step=3, max_steps=5))
        shown = await progress()
        assert shown["progress"] == pytest.approx(0.15)
        state = shown["state"]
        assert (state["job_count"], state["sampling_step"], state["sampling_steps"]) == (4, 3, 5)

        assert (await client.post(f"{API}/skip")).json() == {}
        assert (await lab.records.get(jobs[0])).cancel_requested
        assert (await client.post(f"{API}/skip")).json() == {}
        waiting = [each for each in jobs[1:] if (await lab.records.get(each)).status == "queued"]
        assert len(waiting) == 2, "the first one skips what runs, and the second another one"
        running = await lab.records.get(jobs[0])
        await lab.change(jobs[0], partial(confirm_cancel, token=running.attempt))
        for job_id in set(jobs) - set(waiting):
            await lab.announce(await lab.records.get(job_id))
        await until(lambda: seen == set(jobs) - set(waiting))
        assert (await progress())["state"]["job_count"] == 2
        await finish(lab, waiting[0])
        assert (await client.post(f"{API}/interrupt")).json() == {}
        answer = await sent
    assert answer.json()["images"] == [B64], answer.text
    assert json.loads(answer.json()["info"])["all_seeds"] == [7 + jobs.index(waiting[0])]
    assert (await lab.records.get(waiting[1])).status == "canceled"
    assert (await lab.records.get(other)).status == "queued", "it was submitted by another API"


async def test_a_job_that_fails_and_one_that_takes_too_long_are_told(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post(f"{API}/txt2img", json=FOX))
        [job_id] = await held(lab)
        await lab.announce(await lab.fail(job_id, JobError("node-error", "it broke")))
        assert told_error(await sent) == (500, "node-error", [])
        assert "it broke" in (await sent).json()["detail"]
        sent = asyncio.create_task(client.post(f"{API}/txt2img", json=FOX))
        [job_id] = await held(lab)
        assert (await client.post(f"{API}/interrupt")).status_code == 200
        await lab.announce(await lab.records.get(job_id))
        assert told_error(await sent) == (409, "job-canceled", [])


async def test_a_client_that_is_answered_before_the_end_may_wait_again_by_its_key(
    lab: EventLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LONGEST_HELD_S", 0.02)
    async with client_of(lab.app) as client:
        at = f"{API}/txt2img"
        late = await client.post(at, json=FOX)
        assert told_error(late) == (504, "job-not-ended", [])
        job_id = late.headers["x-comfyq-jobs"]
        assert f"/generate/{job_id}" in late.json()["detail"]
        assert "retry-after" not in late.headers, "it would be another picture"

        key = {"Idempotency-Key": "mine"}
        keyed = await client.post(at, json=FOX, headers=key)
        assert told_error(keyed) == (504, "job-not-ended", [])
        assert keyed.headers["retry-after"] == "1"
        assert keyed.headers["x-comfyq-jobs"] != job_id
        await finish(lab, JobId(keyed.headers["x-comfyq-jobs"]))
        made = await client.post(at, json=FOX, headers=key)
        assert made.json()["images"] == [B64]
        assert made.headers["x-comfyq-jobs"] == keyed.headers["x-comfyq-jobs"]


async def test_what_is_wrong_is_told_in_its_words() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    cells: dict[str, tuple[str, Any, tuple[int, str, list[str]]]] = {
        "no JSON": ("txt2img", b"{", (400, "invalid-json", [])),
        "no object": ("txt2img", [], (422, "invalid-request", [""])),
        "a value": ("txt2img", FOX | {"steps": "many"}, (422, "invalid-request", ["steps"])),
        "a parameter": (
            "txt2img",
            FOX | {"cfg_scale": 99, "sampler_name": "Euler"},
            (422, "invalid-parameters", ["cfg_scale"]),
        ),
        "of several": (
            "txt2img",
            FOX | {"n_iter": 2, "steps": 0},
            (422, "invalid-parameters", ["steps"]),
        ),
        "a script": (
            "txt2img",
            FOX | {"script_name": "a"},
            (422, "invalid-request", ["script_name"]),
        ),
        "a model": (
            "txt2img",
            {"override_settings": {"sd_model_checkpoint": "none"}},
            (404, "workflow-not-found", []),
        ),
        "sounds": (
            "txt2img",
            {"override_settings": {"sd_model_checkpoint": "stable-audio"}},
            (404, "workflow-not-found", []),
        ),
        "no picture": ("img2img", FOX, (422, "invalid-request", ["init_images"])),
        "an empty picture": (
            "img2img",
            FOX | {"init_images": ["-"]},
            (422, "invalid-request", ["init_images.0"]),
        ),
        "no taker": (
            "img2img",
            {"prompt": "a fox", "init_images": [png()]},
            (422, "invalid-request", ["init_images"]),
        ),
        "another size": (
            "extra-single-image",
            {"image": png(), "upscaling_resize": 2},
            (422, "invalid-request", ["upscaling_resize"]),
        ),
        "an option": ("options", {"sd_vae": "a"}, (422, "invalid-request", ["sd_vae"])),
        "png-info of none": ("png-info", {"image": B64}, (422, "invalid-request", ["image"])),
        "nothing": ("interrogate", {}, (404, "not-found", [])),
    }
    with Cells() as each:
        for name, (path, body, told) in cells.items():
            with each.cell(name):
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                answer = lab.client.post(f"{API}/{path}", content=content, headers=JSON)
                assert told_error(answer) == told
        with each.cell("a form"):
            answer = lab.client.post(f"{API}/txt2img", content=b"a=b")
            assert told_error(answer) == (415, "unsupported-media-type", [])
    off = ApiLab()
    assert told_error(off.client.get(f"{API}/options"))[0] == 404, "off unless it is named"


async def test_a_password_is_a_key_and_the_user_a_workflow() -> None:
    lab = AccessLab()
    mine, theirs = await lab.key(), await lab.key(tenant=OTHER)
    reader = await lab.key(frozenset({Scope.READ}))

    def options(headers: dict[str, str]) -> Any:
        return lab.client.get(f"{API}/options", headers=headers)

    def checkpoint(headers: dict[str, str]) -> str:
        return str(options(headers).json()["sd_model_checkpoint"])

    assert checkpoint(basic("sd15", mine)) == "sd15"
    assert checkpoint(basic("sdxl", theirs)) == "sdxl", "each client has its own"
    assert checkpoint(basic("anybody", mine)) == "flux-dev"
    assert checkpoint({"Authorization": f"Bearer {mine}"}) == "flux-dev"
    assert checkpoint({**basic("a", "proxy's own"), "X-API-Key": mine}) == "flux-dev"
    for wrong in (basic("sd15", "cq_wrong"), basic("sd15", ""), {"Authorization": "Basic -"}):
        assert told_error(options(wrong))[:2] == (401, "unauthenticated")
    same, cross = ({"Sec-Fetch-Site": site} for site in ("same-origin", "cross-site"))
    assert checkpoint(basic("sd15", mine) | same) == "sd15"
    assert told_error(options(basic("sd15", mine) | cross))[:2] == (401, "unauthenticated")
    elsewhere = lab.client.get("/generate", headers=basic("sd15", mine))
    assert elsewhere.status_code == 401, "browsers send it by themselves"
    poor = lab.client.post(f"{API}/interrupt", headers=basic("sd15", reader))
    assert told_error(poor)[:2] == (403, "missing-scope")

    kept = {"sd_model_checkpoint": "sd15", "sd_vae": "Automatic"}
    at = f"{API}/options"
    assert lab.client.post(at, json=kept, headers=basic("sd15", mine)).json() == {}
    job = lab.client.post(
        "/generate",
        json={"prompt": "a fox", "workflow": "sd15", "labels": {"api": "a1111"}},
        headers={"Authorization": f"Bearer {theirs}"},
    ).json()["id"]
    assert lab.client.post(f"{API}/interrupt", headers=basic("sd15", mine)).json() == {}
    assert (await lab.records.get(JobId(job))).status == "queued", "it is another tenant's"
    assert lab.client.post(f"{API}/interrupt", headers=basic("sd15", theirs)).json() == {}
    assert (await lab.records.get(JobId(job))).status == "canceled"


async def test_what_waits_behind_a_hundred_newer_jobs_is_found() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    body = {"prompt": "a fox", "workflow": "sd15"}
    ours = [body | {"labels": {"api": "a1111"}} for _ in range(102)]
    oldest = lab.client.post("/generate", json=ours[0]).json()["id"]
    for requests in (ours[1:], [body] * 101):
        lab.clock.advance(1)
        sent = lab.client.post("/generate/batch", json={"requests": requests})
        assert sent.status_code == 202, sent.text
    state = lab.client.get(f"{API}/progress").json()["state"]
    assert (state["job"], state["job_count"]) == (oldest, len(ours))
    assert lab.client.post(f"{API}/skip").json() == {}
    assert (await lab.records.get(JobId(oldest))).status is JobStatus.CANCELED
    assert lab.client.post(f"{API}/interrupt").json() == {}
    assert lab.client.get(f"{API}/progress").json()["state"]["job_count"] == 0
    waiting = lab.client.get("/generate?status=queued&limit=100").json()["jobs"]
    assert len(waiting) == 100, "those of others go on"


async def test_what_is_not_unicode_makes_no_job() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    half = "\ud800"
    cells: dict[str, tuple[dict[str, Any], str]] = {
        "a value": ({"foo": half}, "foo"),
        "a name": ({half: 1}, ""),
        "deeper": ({"foo": [{"a": half}]}, "foo"),
        "an option": (
            {"override_settings": MODEL["override_settings"] | {half: 1}},
            "override_settings",
        ),
        "a script": ({"alwayson_scripts": {half: {"args": []}}}, "alwayson_scripts"),
        "what has no effect": ({"sampler_index": half, "sampler_name": "Euler"}, "sampler_index"),
    }
    with Cells() as each:
        for name, (sent, field) in cells.items():
            with each.cell(name):
                content = json.dumps(FOX | sent).encode()
                answer = lab.client.post(f"{API}/txt2img", content=content, headers=JSON)
                assert told_error(answer) == (422, "invalid-request", [field])
    assert lab.client.get("/generate").json()["jobs"] == []


def test_requests_that_only_read_count_too() -> None:
    cells: dict[str, Any] = {
        "png-info": {"image": png()},
        "options": {},
        "refresh-checkpoints": None,
    }
    with Cells() as each:
        for path, body in cells.items():
            with each.cell(path):
                lab = ApiLab(COMFYQ_FACADES=FACADES, COMFYQ_REQUESTS_PER_MINUTE=2)
                codes = [lab.client.post(f"{API}/{path}", json=body) for _ in range(3)]
                assert [answer.status_code for answer in codes] == [200, 200, 429]


def test_texts_of_pictures_are_read() -> None:
    lab = ApiLab(COMFYQ_FACADES=FACADES)
    sent = {"image": png(parameters="a fox\nSteps: 4", prompt="{}")}
    told = lab.client.post(f"{API}/png-info", json=sent).json()
    assert told == {"info": "a fox\nSteps: 4", "items": {"prompt": "{}"}, "parameters": {}}
