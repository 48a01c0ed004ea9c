"""Query parameters that a route does not know, and the headers that let other origins in."""

import pytest
from fastapi import FastAPI

from comfyq.local.browsers.cors import allow_origins, origins_of
from tests.api_lab import ApiLab
from tests.asgi_client import AsgiClient

pytestmark = pytest.mark.anyio

PAGE = "https://page.example"
NOBODYS = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (
            "/generate?limit=5&wait=10",
            "known: batch, created_after, created_before, cursor, label, limit, status, workflow",
        ),
        (f"/generate/{NOBODYS}?wait=10", "it takes none"),
        (f"/generate/{NOBODYS}/outputs/0?wait=10&expires=1", "known: expires, signature"),
        ("/health?wait=10", "it takes none"),
    ],
)
async def test_an_unknown_parameter_is_named_with_the_known_ones(
    lab: ApiLab, path: str, known: str
) -> None:
    answer = lab.client.get(path)
    assert answer.status_code == 422
    message = f"is no query parameter of this address; {known}"
    assert answer.json()["errors"] == [{"field": "wait", "message": message}]


async def test_a_request_with_an_unknown_parameter_makes_no_job(lab: ApiLab) -> None:
    answer = lab.client.post("/generate?dryrun=true", json={"prompt": "a fox"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert "known: dry_run" in answer.json()["detail"]
    assert lab.client.get("/generate").json()["jobs"] == []


def asked_by_page(origins: str) -> dict[str, str]:
    """Return the answer's headers to a page that asks a server which lets ``origins`` in."""
    app = FastAPI()
    allow_origins(app, origins_of(origins))
    app.add_api_route("/", lambda: "hello")
    client = AsgiClient(app, base_url="http://lab:8000")
    return dict(client.get("/", headers={"Origin": PAGE}).headers)


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ("", None),
        ("https://other.example", None),
        (f"https://other.example, {PAGE}/", PAGE),
        ("*", "*"),
    ],
)
async def test_pages_of_other_origins_are_let_in_by_the_setting_alone(
    origins: str, allowed: str | None
) -> None:
    assert asked_by_page(origins).get("access-control-allow-origin") == allowed
