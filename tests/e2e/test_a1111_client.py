"""The facade of AUTOMATIC1111's API by a client of many programs, webuiapi."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from comfyq.domain.caller import Scope
from tests.facade_lab import TIMEOUT_S, served, told_by

SCOPES = frozenset({Scope.SUBMIT, Scope.READ, Scope.CANCEL})
SERVERS = ("up", pytest.param("lambda", marks=pytest.mark.verify))


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("a1111")
    with served(folder, "a1111", SCOPES, by_lambda=request.param == "lambda") as server:
        yield server


@pytest.mark.timeout(TIMEOUT_S)
def test_its_client_makes_pictures_and_understands_every_answer(
    server: tuple[str, str], tmp_path: Path
) -> None:
    url, key = server
    at = urlsplit(url)
    told = told_by("a1111_client.py", at.hostname, at.port, "sd15", key, home=tmp_path)

    there = told["listings"]
    assert {"sd15", "flux-dev"} <= set(there["models"])
    assert there["options"] == "sd15", "the user of HTTP Basic is the workflow"
    assert {"Euler a", "DPM++ 2M"} <= set(there["samplers"])
    assert {"automatic", "karras"} <= set(there["schedulers"])
    assert {"4x-UltraSharp", "RealESRGAN_x4plus.pth"} <= set(there["upscalers"]), (
        "by their short names, unless two are alike"
    )
    assert there["scripts"] == {"txt2img": [], "img2img": []}

    several = told["several"]
    assert several["sizes"] == [[64, 64]] * 2
    assert several["info"]["all_seeds"] == [7, 8]
    assert several["info"]["sampler_name"] == "Euler a"
    assert several["info"]["negative_prompt"] == "dark"
    assert several["info"]["infotexts"][1].startswith("a fox\nNegative prompt: dark\nSteps: 2, ")
    assert "Schedule type: Karras" in told["other"]["info"]["infotexts"][0]
    assert told["edited"]["info"]["sd_model_name"] == "sd15-img2img"
    assert told["edited"]["info"]["denoising_strength"] == 0.5
    assert told["masked"]["info"]["sd_model_name"] == "sd15-inpaint"
    assert [told[name]["sizes"] for name in ("edited", "masked")] == [[[64, 64]]] * 2
    assert told["larger"]["sizes"] == [[256, 256]]

    assert (told["progress"]["progress"], told["progress"]["state"]["job_count"]) == (0, 0)
    assert (told["stopped"], told["same"]) == ([{}, {}], {})
    assert told["another"] == "sdxl", "for what the same key asks for from then on"
    assert told["png"] == "a fox\nSteps: 2"
    refusals = {name: (each[0], each[1]["error"]) for name, each in told["refusals"].items()}
    assert refusals == {
        "script": (422, "invalid-request"),
        "model": (404, "workflow-not-found"),
        "key": (401, "unauthenticated"),
    }
