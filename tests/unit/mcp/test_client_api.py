"""What a model is told where the server of comfyq is away, or does not let the MCP server in."""

import pytest

from comfyq.client import Patience
from comfyq.mcp.api import ApiError, Away, NotFound
from comfyq.mcp.client_api import ClientApi, http_for
from tests.fake_api import fake_api

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_away_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfyq.mcp.client_api.AT_ONCE", Patience(give_up_s=0))
    url = "http://127.0.0.1:1"
    async with http_for(url) as http:
        api = ClientApi(http, url, lambda: None)
        with pytest.raises(Away, match=r"nobody listens there; is the server .* `comfyq up`"):
            await api.workflows()
        with pytest.raises(Away, match="COMFYQ_URL"):
            await api.is_refused()


async def test_who_is_not_let_in_is_told_how_the_mcp_server_is_given_a_key() -> None:
    with fake_api() as server:
        problem = {"code": "unauthenticated", "detail": "the API key has expired"}
        server.answer("/workflows", problem, status=401)
        async with http_for(server.url) as http:
            api = ClientApi(http, server.url, lambda: None)
            with pytest.raises(ApiError, match="COMFYQ_API_KEY in the environment") as refused:
                await api.workflows()
    assert "the API key has expired" in str(refused.value)


async def test_a_workflow_that_there_is_not_is_not_found_whatever_status_says_so() -> None:
    with fake_api() as server:
        problem = {"code": "workflow-not-found", "detail": "workflow: there is no such workflow"}
        server.answer("/generate", problem, status=422)
        async with http_for(server.url) as http:
            api = ClientApi(http, server.url, lambda: None)
            with pytest.raises(NotFound, match="there is no such workflow"):
                await api.submit("sdx", {"prompt": "a fox"})


@pytest.mark.parametrize("odd", ["..", "batch/x", "a\ud800"])
async def test_an_id_that_is_none_is_told_and_asks_for_nothing(odd: str) -> None:
    with fake_api() as server:
        async with http_for(server.url) as http:
            api = ClientApi(http, server.url, lambda: None)
            for ask in (api.job, api.story, api.cancel, api.workflow):
                with pytest.raises(ApiError, match="no id") as refused:
                    await ask(odd)
                assert not isinstance(refused.value, Away), "the server is there"
        assert server.requests == []
