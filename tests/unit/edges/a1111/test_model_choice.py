"""Models that clients of AUTOMATIC1111's API choose, by the requests of Open WebUI and SillyTavern
as their sources have them."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Scope
from comfyq.domain.job import JobId
from tests.access_lab import FACADES, OTHER
from tests.api_lab import output
from tests.event_lab import EventLab
from tests.unit.edges.a1111.test_images import API, B64, CONTENT, client_of, finish, held

pytestmark = pytest.mark.anyio

SCOPES = frozenset({Scope.SUBMIT, Scope.READ, Scope.CANCEL})


@pytest.fixture
def lab() -> EventLab:
    lab = EventLab(COMFYQ_AUTH="keys", COMFYQ_FACADES=FACADES)
    lab.store(output(), CONTENT)
    return lab


class Program:
    """A program with one `--api-auth` for all of its requests."""

    def __init__(self, lab: EventLab, http: httpx2.AsyncClient, auth: str) -> None:
        self.lab, self.http, self.auth = lab, http, auth
        self.headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"}

    async def got(self, path: str) -> Any:
        answer = await self.http.get(f"{API}/{path}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def set(self, options: Mapping[str, Any]) -> int:
        answer = await self.http.post(f"{API}/options", json=options, headers=self.headers)
        return answer.status_code

    async def made(self, body: Mapping[str, Any]) -> tuple[JobId, Mapping[str, Any]]:
        """Return the job of a request for a picture, and the answer."""
        sent = asyncio.create_task(
            self.http.post(f"{API}/txt2img", json=body, headers=self.headers)
        )
        [job_id] = await held(self.lab)
        await finish(self.lab, job_id)
        answer = await sent
        assert answer.status_code == 200, answer.text
        assert answer.json()["images"] == [B64]
        return job_id, answer.json()

    async def workflow(self, body: Mapping[str, Any]) -> str:
        return (await self.lab.records.get((await self.made(body))[0])).workflow


async def program_of(lab: EventLab, http: httpx2.AsyncClient, user: str, **tenant: Any) -> Program:
    key = await lab.services.api_keys.create(
        tenant.get("tenant", DEFAULT_TENANT), "a program", SCOPES, lives=None
    )
    return Program(lab, http, f"{user}:{key[1]}")


async def test_open_webui_chooses_a_model(lab: EventLab) -> None:
    """Its settings are verified, a model is listed and set with all other options as they were
    told; then pictures are asked for without naming one."""
    async with client_of(lab.app) as http:
        webui = await program_of(lab, http, "anybody")
        options = await webui.got("options")  # to verify the URL
        models = await webui.got("sd-models")
        [chosen] = [each["title"] for each in models if each["model_name"] == "sd15"]
        assert options["sd_model_checkpoint"] != chosen
        assert await webui.set(options | {"sd_model_checkpoint": chosen}) == 200
        assert (await webui.got("options"))["sd_model_checkpoint"] == chosen
        asked = {"prompt": "a fox", "batch_size": 1, "width": 512, "height": 512, "steps": 4}
        assert await webui.workflow(asked) == "sd15"
        assert await webui.workflow(asked | {"negative_prompt": "dark"}) == "sd15"


async def test_open_webui_without_a_key_sends_an_empty_header() -> None:
    lab = EventLab(COMFYQ_FACADES=FACADES)
    async with client_of(lab.app) as http:
        program = Program(lab, http, "")
        program.headers = {"Authorization": ""}
        assert (
            await program.set(await program.got("options") | {"sd_model_checkpoint": "sd15"}) == 200
        )
        assert (await program.got("options"))["sd_model_checkpoint"] == "sd15"


async def test_silly_tavern_chooses_a_model(lab: EventLab) -> None:
    """It waits until nothing is made before it believes that a model is set; what it sends has its
    own settings, the key among them, which nothing repeats."""
    async with client_of(lab.app) as http:
        tavern = await program_of(lab, http, "sdxl")
        assert (await tavern.got("options"))["sd_model_checkpoint"] == "sdxl"
        lists = {name: await tavern.got(name) for name in ("upscalers", "samplers", "schedulers")}
        assert all(each["name"] for listed in lists.values() for each in listed)
        assert await tavern.got("latent-upscale-modes") == await tavern.got("sd-vae") == []
        forge = await http.get(f"{API}/sd-modules", headers=tavern.headers)
        assert forge.status_code == 404, "it takes the other list, then"
        assert "sd15" in [each["title"] for each in await tavern.got("sd-models")]
        assert await tavern.set({"sd_model_checkpoint": "sd15"}) == 200
        progress = await tavern.got("progress")
        assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
        assert (await tavern.got("options"))["sd_model_checkpoint"] == "sd15"
        job_id, answer = await tavern.made(
            {
                "url": "http://127.0.0.1:8000",
                "auth": tavern.auth,
                "prompt": "a fox",
                "negative_prompt": "dark",
                "sampler_name": "Euler a",
                "scheduler": "automatic",
                "steps": 4,
                "cfg_scale": 7,
                "width": 512,
                "height": 512,
                "restore_faces": False,
                "enable_hr": False,
                "hr_upscaler": "Latent",
                "hr_scale": 1.5,
                "hr_additional_modules": [],
                "denoising_strength": 0.7,
                "hr_second_pass_steps": 0,
                "seed": 7,
                "override_settings": {"CLIP_stop_at_last_layers": 1},
                "override_settings_restore_afterwards": True,
                "clip_skip": 1,
                "save_images": True,
                "send_images": True,
                "do_not_save_grid": False,
                "do_not_save_samples": False,
            }
        )
    assert (await lab.records.get(job_id)).workflow == "sd15"
    assert tavern.auth.removeprefix("sdxl:") not in f"{answer}{lab.table._items}"


async def test_a_choice_is_its_keys_alone(lab: EventLab) -> None:
    async with client_of(lab.app) as http:
        mine = await program_of(lab, http, "anybody")
        beside = Program(lab, http, mine.auth.replace("anybody:", "sdxl:"))  # by the same key
        colleague = await program_of(lab, http, "anybody")
        stranger = await program_of(lab, http, "anybody", tenant=OTHER)
        usual = (await mine.got("options"))["sd_model_checkpoint"]
        assert await mine.set({"sd_model_checkpoint": "sd15"}) == 200
        others = [beside, colleague, stranger]
        told = [(await each.got("options"))["sd_model_checkpoint"] for each in others]
        assert told == ["sdxl", usual, usual]
        for refused, status in (
            ({"sd_model_checkpoint": "none"}, 404),
            ({"sd_model_checkpoint": 7}, 422),
            ({"sd_model_checkpoint": "sdxl", "sd_vae": "other"}, 422),
        ):
            assert await mine.set(refused) == status
            assert (await mine.got("options"))["sd_model_checkpoint"] == "sd15"
        for _ in range(3):
            lab.clock.advance(40 * 86_400)  # less than a choice is kept for after its last use
            assert (await mine.got("options"))["sd_model_checkpoint"] == "sd15"
        lab.clock.advance(61 * 86_400)
        assert (await mine.got("options"))["sd_model_checkpoint"] == usual
