"""``comfyq submit``: a workflow's parameters as options, and files that are brought along."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from comfyq.cli.errors import CannotStart
from comfyq.cli.submission_words import Words
from comfyq.client.flows import submitting
from tests.fake_api import FakeApi, fake_api
from tests.unit.cli.test_cli import run

ASSET = {"id": "a1", "source": "asset:a1"}
IMAGE = {"anyOf": [{"type": "string"}, {"type": "object"}], "x-kind": "image"}
STEPS = {
    "type": "integer",
    "description": "Sampling steps.",
    "minimum": 1,
    "maximum": 150,
    "default": 20,
    "x-group": "sampling",
}
PROPERTIES: dict[str, Any] = {
    "steps": STEPS,
    "loras_low": {"type": "array", "x-kind": "loras"},
    "tiled": {"type": "boolean", "default": False},
    "image": IMAGE,
    "out": {"type": "string"},
    "preset": {"type": "string", "enum": ["draft", "balanced"]},
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        running.workflow(**PROPERTIES)
        running.answer("/generate", running.job(), status=202)
        yield running


def asked(api: FakeApi) -> Any:
    """The body of the last request."""
    return json.loads(api.requests[-1][3])


def test_each_parameter_is_an_option(api: FakeApi) -> None:
    options = ["--prompt", "a fox", "--steps", 4, "--tiled", "--lora-low", "a", "--lora-low", "b"]
    result = run(api, "submit", "flux-dev", *options, "--preset", "draft")
    assert result.exit_code == 0, result.stderr
    assert asked(api) == {
        "workflow": "flux-dev",
        "prompt": "a fox",
        "steps": 4,
        "tiled": True,
        "loras_low": ["a", "b"],
        "preset": "draft",
    }


def test_options_of_every_workflow(api: FakeApi) -> None:
    switches = ["--reuse", "--no-metadata", "--no-tiled", "--priority", 9]
    run(api, "submit", "a fox", *switches)
    common = {"reuse": True, "metadata": False, "priority": 9}
    assert asked(api) == {"prompt": "a fox", "tiled": False} | common


def test_a_webhook_is_of_the_request(api: FakeApi) -> None:
    url = "https://example.com/told?of=zoo"
    events = ["--webhook-event", "started", "--webhook-event", "completed"]
    run(api, "submit", "a fox", "--webhook", url, *events)
    told = {"webhook_url": url, "webhook_events": ["started", "completed"]}
    assert asked(api) == {"prompt": "a fox"} | told
    refused = run(api, "submit", "a fox", "--webhook", "ftp://example.com")
    assert (refused.exit_code, "--webhook: " in refused.stderr) == (2, True)
    unknown = run(api, "submit", "a fox", "--webhook-event", "ended")
    assert (unknown.exit_code, "--webhook-event" in unknown.stderr) == (2, True)


def test_labels_are_of_the_request(api: FakeApi, tmp_path: Path) -> None:
    run(api, "submit", "a fox", "--label", "run=7", "--label", "by=me = you")
    assert asked(api) == {"prompt": "a fox", "labels": {"run": "7", "by": "me = you"}}
    graph = tmp_path / "graph.json"
    graph.write_text('{"9": {"class_type": "SaveImage", "inputs": {}}}')
    run(api, "submit", "--graph", graph, "--label", "run=7")
    assert asked(api)["labels"] == {"run": "7"}
    refused = run(api, "submit", "a fox", "--label", "run")
    assert (refused.exit_code, "NAME=VALUE" in refused.stderr) == (2, True)


def test_a_parameter_that_is_called_like_an_option(api: FakeApi, tmp_path: Path) -> None:
    run(api, "submit", "flux-dev", "--parameter-out", "x")
    assert asked(api)["out"] == "x"


def test_the_help_is_the_workflows(api: FakeApi) -> None:
    printed = run(api, "submit", "flux-dev", "--help")
    assert printed.exit_code == 0
    for part in ("flux-dev. It draws.", "--steps", "Sampling steps. 1 to 150.", "20", "Sampling"):
        assert part in printed.stdout
    assert "One of: draft, balanced" in printed.stdout
    assert "--graph" not in printed.stdout
    assert [request[0] for request in api.requests] == ["GET"]


def test_without_a_workflow_nobody_is_asked(api: FakeApi) -> None:
    general = run(api, "submit", "--help").stdout
    assert {"WORKFLOW", "--graph", "--override"} <= set(general.replace("│", " ").split())
    assert run(api, "submit").exit_code == 2
    assert api.requests == []


@pytest.mark.parametrize("wrong", [["--steps", "many"], ["--nothing", "1"], ["--steps"]])
def test_a_wrong_option_is_wrong_usage(api: FakeApi, wrong: list[str]) -> None:
    result = run(api, "submit", "flux-dev", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr
    assert [request[0] for request in api.requests] == ["GET"], "nothing was submitted"


def test_a_workflow_that_is_not_there(api: FakeApi) -> None:
    detail = "there is no such workflow; did you mean 'flux-dev'?"
    problem = {"code": "workflow-not-found", "detail": detail}
    api.answer("/workflows/flux", problem, status=404)
    result = run(api, "submit", "flux")
    assert result.exit_code == 2
    assert detail in result.stderr
    assert "--prompt" in result.stderr


def test_a_broken_workflow_is_no_prompt(api: FakeApi) -> None:
    problem = {"code": "workflow-not-found", "detail": "workflow torn is broken: no JSON"}
    api.answer("/workflows/torn", problem, status=404)
    result = run(api, "submit", "torn")
    assert (result.exit_code, "--prompt" in result.stderr) == (2, False)


def test_a_path_is_uploaded(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "ä.png"
    file.write_bytes(b"pixels")
    api.answer("/assets", ASSET, status=201)
    run(api, "submit", "flux-dev", "--image", file, "--image-fit", "cover")
    [_, (method, path, headers, body), _] = api.requests
    assert (method, path, body) == ("POST", "/assets?filename=%C3%A4.png", b"pixels")
    assert headers["Content-Type"] == "image/png"
    assert asked(api)["image"] == {"source": "asset:a1", "fit": "cover"}


@pytest.mark.parametrize("source", ["asset:1", "https://a/b.png", "data:image/png;base64,AA=="])
def test_what_is_elsewhere_is_only_named(api: FakeApi, source: str) -> None:
    run(api, "submit", "flux-dev", "--image", source)
    assert asked(api)["image"] == source


def test_a_path_that_leads_nowhere(api: FakeApi, tmp_path: Path) -> None:
    result = run(api, "submit", "flux-dev", "--image", tmp_path / "none.png")
    assert (result.exit_code, [request[0] for request in api.requests]) == (2, ["GET"])
    assert "none.png: there is no such file" in result.stderr


def test_upload_prints_what_a_request_says(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"x")
    api.answer("/assets", ASSET, status=201)
    assert run(api, "upload", file).stdout == "asset:a1\n"
    assert json.loads(run(api, "upload", file, "--json").stdout) == ASSET


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(submitting, "LARGE_BYTES", 3)
    file = tmp_path / "a.mp4"
    file.write_bytes(b"video")
    return file


def test_a_large_file_goes_past_the_api(api: FakeApi, large: Path) -> None:
    headers = {"Content-Type": "video/mp4", "Content-Length": "5"}
    offer = {"id": "u1", "method": "PUT", "url": f"{api.url}/bucket", "headers": headers}
    api.answer("/assets/uploads", offer, status=201)
    api.answer("/bucket", {})
    api.answer("/assets/uploads/u1/complete", ASSET, status=201)
    assert run(api, "upload", large).stdout == "asset:a1\n"
    announced, sent, _ = api.requests
    assert json.loads(announced[3]) == {
        "name": "a.mp4",
        "content_type": "video/mp4",
        "size_bytes": 5,
        "blake3": blake3(b"video").hexdigest(),
    }
    assert (sent[0], sent[3], sent[2]["Content-Type"]) == ("PUT", b"video", "video/mp4")


def test_storage_that_refuses(api: FakeApi, large: Path) -> None:
    offer = {"id": "u1", "method": "PUT", "url": f"{api.url}/bucket", "headers": {}}
    api.answer("/assets/uploads", offer, status=201)
    api.answer("/bucket", {}, status=403)
    result = run(api, "upload", large)
    assert result.exit_code == 3
    assert "HTTP 403" in result.stderr


@pytest.mark.parametrize(
    ("given", "workflow", "prompt", "rest"),
    [
        ("sdxl", "sdxl", None, []),
        ("sdxl.json|a fox", "sdxl.json", "a fox", []),
        ("a fox", None, "a fox", []),
        ("--workflow|sdxl|fox", "sdxl", "fox", []),
        ("fox|--workflow=sdxl", "sdxl", "fox", []),
        ("--steps|4|--wait|sdxl", "sdxl", None, ["--steps", "4", "--wait"]),
        ("--steps=4|sdxl", "sdxl", None, ["--steps=4"]),
        ("sdxl|--|-x", "sdxl", "-x", []),
    ],
)
def test_words(given: str, workflow: str | None, prompt: str | None, rest: list[str]) -> None:
    words = Words(given.split("|"))
    shown = rest if prompt is None else [*rest, f"--prompt={prompt}"]
    assert (words.workflow, words.prompt, words.rest) == (workflow, prompt, shown)


@pytest.mark.parametrize("given", ["sdxl|a fox|an owl", "a fox|--prompt|x", "sdxl|a b|--prompt=x"])
def test_words_too_many(given: str) -> None:
    with pytest.raises(CannotStart):
        Words(given.split("|"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_graph_comes_from_a_file(api: FakeApi, tmp_path: Path, encoding: str) -> None:
    graph = {"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(graph), encoding=encoding)
    overrides = ["--override", "3.seed=7", "--override", "6.text=a fox = a vixen"]
    result = run(api, "submit", "--graph", file, *overrides, "--no-metadata")
    assert result.exit_code == 0, result.stderr
    assert asked(api) == {
        "graph": graph,
        "overrides": {"3.seed": 7, "6.text": "a fox = a vixen"},
        "metadata": False,
    }


def test_a_file_without_a_graph_is_told_before_anything_is_sent(
    api: FakeApi, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0")
    for arguments in (["--graph", photo], ["--graph", tmp_path / "nowhere.json"]):
        assert run(api, "submit", *arguments).exit_code == 2
    assert run(api, "submit", "--graph", photo, "--override", "3=7").exit_code == 2
    assert not api.requests


def test_a_url_that_nothing_fetches_is_told_before_anything_is_sent(api: FakeApi) -> None:
    api.workflow("painted", image={"type": "string", "x-kind": "image"})
    result = run(api, "submit", "painted", "a fox", "--image", "ftp://host/a.png")
    assert result.exit_code == 2
    assert "ftp://host/a.png: only http and https are fetched" in result.stderr
