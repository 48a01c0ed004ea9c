"""Titles of jobs, by which lists show them, however they were submitted."""

import json

import pytest

from comfyq.domain.caller import Scope
from comfyq.domain.job import JobError
from comfyq.ports.inbox import Message
from tests.access_lab import AccessLab
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

TITLE = "a fox in the snow"
GRAPH = {
    "1": {"class_type": "CLIPTextEncode", "inputs": {"text": TITLE, "clip": ["4", 1]}},
    "3": {"class_type": "KSampler", "inputs": {"positive": ["1", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a", "images": ["3", 0]}},
}


async def test_jobs_of_every_kind_of_request_have_a_title() -> None:
    lab = ApiLab()
    made = [
        lab.client.post(path, json=body).json()
        for path, body in (
            ("/generate", {"prompt": f"{TITLE}\n"}),
            ("/generate", {"graph": GRAPH}),
            ("/workflows/sd15/generate", {"prompt": TITLE}),
        )
    ]
    batch = lab.client.post("/generate/batch", json={"requests": [{"prompt": TITLE}]}).json()
    made += [each["job"] for each in batch["items"]]
    message = Message("6f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", json.dumps({"prompt": TITLE}), {})
    await lab.intake.take(await lab.services.authenticator.of_queue("submissions"), message)
    await lab.fail(made[0]["id"], JobError("node-error", "it broke"))
    made.append(lab.client.post(f"/generate/{made[0]['id']}/retry").json())
    listed = lab.client.get("/generate").json()["jobs"]
    assert len(listed) == len(made) + 1
    assert [each["title"] for each in [*made, *listed]] == [TITLE] * (2 * len(made) + 1)
    assert lab.show(made[1]["id"])["title"] == TITLE


async def test_a_title_is_for_who_may_read() -> None:
    keyed = AccessLab()
    reader, canceler = await keyed.key(), await keyed.key(frozenset({Scope.CANCEL}))
    made = keyed.ask("POST", "/generate", reader, json={"prompt": TITLE}).json()
    assert made["title"] == TITLE
    canceled = keyed.ask("DELETE", f"/generate/{made['id']}", canceler).json()
    assert (canceled["id"], canceled["title"]) == (made["id"], None)
