"""Who may use an MCP server that others reach, and what that asks of the API."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from comfyq.mcp import access
from comfyq.mcp.access import HOLDS_S, Keys, OpenServer

pytestmark = pytest.mark.anyio


@dataclass
class Api:
    """Lets in the bearers that it knows; None among them: everybody."""

    known: set[str | None] = field(default_factory=lambda: {"ours"})
    asked: Counter[str | None] = field(default_factory=Counter)
    now_s: float = 1_000.0

    def keys(self) -> Keys:
        return Keys(lambda bearer: Caller(self, bearer), clock=lambda: self.now_s)


@dataclass
class Caller:
    api: Api
    bearer: str | None

    async def is_refused(self) -> bool:
        self.api.asked[self.bearer] += 1
        return self.bearer not in self.api.known


async def test_an_answer_of_the_api_holds_for_seconds_and_no_longer() -> None:
    api = Api()
    keys = api.keys()
    for bearer in ("ours", "made up") * 5:
        assert await keys.knows(bearer) == (bearer == "ours")
    assert api.asked == {None: 1, "ours": 1, "made up": 1}
    api.known = {"new"}
    api.now_s += HOLDS_S + 1
    assert not await keys.knows("ours"), "it was revoked"
    assert await keys.knows("new")
    api.known.add(None)
    api.now_s += HOLDS_S + 1
    with pytest.raises(OpenServer):
        await keys.knows("new")


async def test_strangers_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MOST", 3)
    api = Api()
    keys = api.keys()
    for number in range(5):
        await keys.knows(f"made up {number}")
    api.asked.clear()
    await keys.knows("made up 4")
    await keys.knows("made up 0")
    assert api.asked["made up 4"] == 0
    assert api.asked["made up 0"] == 1, "it was forgotten"
