"""What ComfyUI is sent of a prompt."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from comfyq.adapters.comfyui.client import ComfyClient
from comfyq.adapters.comfyui.replies import Reply
from comfyq.adapters.comfyui.submit.submission import PromptSubmission
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.ports.engine import Prompt, PromptId

pytestmark = pytest.mark.anyio
PROMPT = Prompt(PromptId("p"), {"9": {}}, {"comfyq": {"job_id": "j"}}, {"api_key_comfy_org": "k"})


class Recording:
    """Takes every prompt."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []

    async def post_prompt(self, body: Mapping[str, Any]) -> Reply:
        self.bodies.append(body)
        return Reply(200, json.dumps({"prompt_id": body["prompt_id"]}).encode())


async def test_secrets_go_where_nodes_are_handed_them() -> None:
    client = Recording()
    given = cast("ComfyClient", client)
    await PromptSubmission(PROMPT, client_id="c", client=given, timing=EngineTiming()).run()
    [body] = client.bodies
    assert body["extra_data"] == {"comfyq": {"job_id": "j"}, "api_key_comfy_org": "k"}
    assert "'k'" not in str(PROMPT)
