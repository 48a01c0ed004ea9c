from functools import partial

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobError
from comfyq.domain.job.progress import Progress
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

SPEC = {  # the specification's own request
    "prompt": "a sunset over mountains",
    "negative_prompt": "blurry",
    "workflow": "flux-dev.json",
    "width": 1024,
    "height": 1024,
    "steps": 20,
    "cfg": 7.0,
    "seed": 42,
}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def test_the_request_of_the_specification_is_accepted(lab: ApiLab) -> None:
    answer = lab.client.post("/generate", json=SPEC)
    job_id = answer.json()["id"]
    base = "http://lab:8000"
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{base}/generate/{job_id}"
    assert answer.json() == {
        "id": job_id,
        "status": "queued",
        "progress": 0.0,
        "image_url": None,
        "error": None,
        "error_code": None,
        "workflow": "flux-dev",
        "title": "a sunset over mountains",
        "labels": {},
        "step": 0,
        "max_steps": 0,
        "node": None,
        "node_class": None,
        "nodes_done": 0,
        "nodes_total": 0,
        "provisioning": None,
        "eta_s": None,
        "queue_position": None,
        "queue_position_above": None,
        "priority": 5,
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": None,
        "ended_at": None,
        "cancel_requested": False,
        "waits_for": None,
        "seq": 1,
        "attempt": 0,
        "seed": 42,
        "warnings": [
            "negative_prompt was ignored: "
            "FLUX.1 [dev] is guidance-distilled and has no negative prompt"
        ],
        "outputs": [],
        "more_outputs": None,
        "simulated": False,
        "retry_of": None,
        "reused_from": None,
        "urls": {
            "self": f"{base}/generate/{job_id}",
            "cancel": f"{base}/generate/{job_id}",
            "ws": f"ws://lab:8000/ws/progress/{job_id}",
            "ws_subscribe": None,
            "events": None,
        },
    }
    assert [message.job_id for message in lab.queue.messages] == [job_id]


async def test_all_but_the_prompt_is_optional(lab: ApiLab) -> None:
    job = lab.submit()
    assert job["seed"] == 1_000, "drawn"
    assert (await lab.records.spec(job["id"])).parameters["width"] == 1024


async def test_a_running_job_tells_how_far_it_is(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    await lab.advance(job_id, Progress(0.5, 10, 20, "SamplerCustomAdvanced"))
    shown = lab.show(job_id)
    assert (shown["status"], shown["progress"]) == ("running", 0.5)
    assert (shown["step"], shown["max_steps"]) == (10, 20)
    assert shown["started_at"] == "2026-01-01T00:00:00.000Z"


async def test_a_completed_job_has_its_first_image_and_every_output(lab: ApiLab) -> None:
    job_id = lab.submit(negative_prompt="blurry")["id"]
    await lab.succeed(
        job_id, output("t.txt", kind=OutputKind.TEXT), output("a.png"), output("b.png")
    )
    shown = lab.show(job_id)
    assert (shown["status"], shown["progress"]) == ("completed", 1.0)
    assert [each["filename"] for each in shown["outputs"]] == ["t.txt", "a.png", "b.png"]
    assert shown["image_url"] == shown["outputs"][1]["url"]
    assert shown["image_url"].startswith(f"http://lab:8000/generate/{job_id}/outputs/1?expires=")
    assert shown["outputs"][1] | {"url": ""} == {
        "index": 1,
        "node": "9",
        "filename": "a.png",
        "kind": "image",
        "content_type": "image/png",
        "size": 10,
        "blake3": "ab" * 32,
        "url": "",
        "text": None,
    }
    assert (shown["seed"], len(shown["warnings"])) == (1_000, 1)


async def test_warnings_do_not_tell_paths_of_the_worker(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    warning = "node 9 names /srv/ComfyUI/out/a.png in a folder x, which nobody serves"
    job = await lab.start(job_id)
    await lab.change(job_id, partial(jobs.succeed, token=job.attempt, warnings=[warning]))
    assert lab.show(job_id)["warnings"] == ["node 9 names a.png in a folder x, which nobody serves"]


async def test_a_failed_job_says_why_in_words(lab: ApiLab) -> None:
    job_id = lab.submit(loras=["nope"])["id"]
    details = ("lora_name: 'nope.safetensors' is not there; there are: a.safetensors",)
    await lab.fail(job_id, JobError("invalid-graph", "ComfyUI refused it", "lora_1", details))
    shown = lab.show(job_id)
    assert shown["status"] == "failed"
    assert shown["error"] == f"ComfyUI refused it\n{details[0]}"
    assert shown["error_code"] == "invalid-graph"


async def test_an_expired_job_ends_as_failed(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.expire(job_id)
    shown = lab.show(job_id)
    assert shown["status"] == "failed"
    assert "86400 s" in shown["error"]


async def test_the_same_key_and_body_replay_the_first_answer(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k 1"}
    first = lab.client.post("/generate", json=SPEC, headers=headers)
    await lab.succeed(first.json()["id"], output())
    lab.clock.advance(60.5)
    again = lab.client.post("/generate", json=dict(reversed(SPEC.items())), headers=headers)
    assert again.status_code == 202
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_a_drawn_seed_is_drawn_once_for_a_key(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [
        lab.client.post("/generate", json={"prompt": "x"}, headers=headers) for _ in range(3)
    ]
    assert len({answer.content for answer in answers}) == 1


async def test_the_same_key_with_another_body_is_refused(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    lab.client.post("/generate", json={"prompt": "x"}, headers=headers)
    other = lab.client.post("/generate", json={"prompt": "y"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\tb"])
async def test_a_key_that_is_none_is_refused(lab: ApiLab, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    answer = lab.client.post("/generate", json={"prompt": "x"}, headers=headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


async def test_canceling_a_waiting_job_ends_it(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    answer = lab.client.delete(f"/generate/{job_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    again = lab.client.delete(f"/generate/{job_id}")
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_canceling_a_running_job_asks_its_worker(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    for _ in range(2):
        answer = lab.client.delete(f"/generate/{job_id}")
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", True)


async def test_canceling_too_late_shows_what_the_job_became(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.succeed(job_id, output())
    answer = lab.client.delete(f"/generate/{job_id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.json()["image_url"]


async def test_the_story_of_a_job(lab: ApiLab) -> None:
    job_id = lab.submit(steps=4)["id"]
    await lab.succeed(job_id, output())
    story = lab.client.get(f"/generate/{job_id}/story").json()
    assert story["parameters"]["steps"] == 4
    assert story["status"] == "completed"
    assert story["failures"] == 0
    assert [attempt["verdict"] for attempt in story["attempts"]] == ["succeeded"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "job_id",
    ["00000000-0000-4000-8000-000000000000", "x", "%00", "%ED%A0%80", "a" * 5_000, "..%2f..", "1"],
)
async def test_a_job_that_is_not_there(lab: ApiLab, method: str, job_id: str) -> None:
    answer = lab.client.request(method, f"/generate/{job_id}")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert answer.json()["code"] in ("job-not-found", "not-found")


async def test_ids_may_be_written_in_capitals(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    assert lab.show(job_id.upper())["id"] == job_id


async def test_links_begin_with_the_public_url_where_there_is_one() -> None:
    lab = ApiLab(PUBLIC_URL="https://gpu.example/api/", COMFYQ_WS_URL="wss://sockets.example/live")
    urls = lab.submit()["urls"]
    assert urls["self"].startswith("https://gpu.example/api/generate/")
    assert urls["ws"] == "wss://sockets.example/live"
    job_id = urls["self"].rpartition("/")[2]
    assert urls["ws_subscribe"] == {"action": "subscribe", "job_id": job_id}


async def test_links_honour_the_path_that_a_proxy_took_away(lab: ApiLab) -> None:
    lab.app.root_path = "/comfy"
    urls = lab.submit()["urls"]
    assert urls["self"].startswith("http://lab:8000/comfy/generate/")
    assert urls["ws"].startswith("ws://lab:8000/comfy/ws/progress/")


async def test_the_seed_is_the_same_everywhere(lab: ApiLab) -> None:
    accepted = lab.submit()
    [listed] = lab.client.get("/generate").json()["jobs"]
    seeds = [accepted["seed"], lab.show(accepted["id"])["seed"], listed["seed"]]
    canceled = lab.client.delete(f"/generate/{accepted['id']}").json()
    assert [*seeds, canceled["seed"]] == [1_000] * 4
    largest = lab.submit(seed=2**64 - 1)
    assert lab.show(largest["id"])["seed"] == 2**64 - 1


async def test_the_story_of_a_canceled_attempt_says_why_it_ended(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    lab.client.delete(f"/generate/{job_id}")
    await lab.change(job_id, partial(jobs.confirm_cancel, token=1))
    [attempt] = lab.client.get(f"/generate/{job_id}/story").json()["attempts"]
    wanted = ("canceled", "its cancellation was requested")
    assert (attempt["verdict"], attempt["reason"]) == wanted


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", "abc", "must be an integer, not a string, 'abc'"),
        ("steps", [1], "must be an integer, not a list"),
        ("cfg", "abc", "must be a number, not a string, 'abc'"),
    ],
)
def test_a_text_in_the_place_of_a_number_is_named(
    lab: ApiLab, name: str, value: object, message: str
) -> None:
    answer = lab.client.post("/generate", json={"prompt": "a fox", name: value})
    assert answer.json()["errors"] == [{"field": name, "message": message}]
