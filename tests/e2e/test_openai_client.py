"""The facade of OpenAI's images by OpenAI's own client."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from comfyq.domain.caller import Scope
from tests.facade_lab import TIMEOUT_S, served, size_of, told_by

SCOPES = frozenset({Scope.SUBMIT, Scope.READ})
SERVERS = ("up", pytest.param("lambda", marks=pytest.mark.verify))


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("openai")
    with served(folder, "openai", SCOPES, by_lambda=request.param == "lambda") as server:
        yield server


@pytest.mark.timeout(TIMEOUT_S)
def test_its_client_makes_pictures_and_understands_every_answer(
    server: tuple[str, str], tmp_path: Path
) -> None:
    url, key = server
    told = told_by("openai_client.py", url, key, home=tmp_path)
    assert {"sd15", "flux-dev"} <= set(told["models"])
    assert told["model"] == "sd15"

    made = told["pictures"]
    assert [size_of(b64decode(each)) for each in made["several"]] == [(64, 64)] * 2
    assert made["several"][0] != made["several"][1], "each has a seed of its own"
    [link] = made["linked"]
    assert size_of(urllib3.request("GET", link).data) == (64, 64)
    assert [size_of(b64decode(each)) for each in made["edited"]] == [(64, 64)]
    assert made["format"] == "png"
    assert made["created"] > 1_700_000_000

    refusals = {
        name: (each["raised"], each["status"], each["param"], each["code"])
        for name, each in told["refusals"].items()
    }
    assert refusals == {
        "size": ("BadRequestError", 400, "size", "invalid_parameters"),
        "model": ("NotFoundError", 404, None, "model_not_found"),
        "image": ("BadRequestError", 400, "image", "invalid_request"),
        "key": ("AuthenticationError", 401, None, "invalid_api_key"),
    }

    waits = told["waits"]
    assert (waits["keyed"], waits["unkeyed"]["code"]) == (1, "job_not_ended")
    assert waits["keyed_tries"] > 1, "it asked again by itself"
    assert _jobs(url, key) == 2 + 1 + 1 + 1 + 1, "and each request made its jobs once"


def _jobs(url: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    answer = urllib3.request("GET", f"{url}/generate?limit=100", headers=headers)
    return len(answer.json()["jobs"])
