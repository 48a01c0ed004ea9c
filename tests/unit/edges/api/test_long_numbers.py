"""Numbers of thousands of digits, whose reading would keep the event loop."""

import pytest

from comfyq.bootstrap.api import MAX_DIGITS
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/generate", "/generate/batch", "/workflows/sd15/generate"])
async def test_a_number_of_too_many_digits_is_refused_as_it_is_read(path: str) -> None:
    body = '{"prompt": "a", "seed": ' + "9" * (MAX_DIGITS + 1) + "}"
    answer = ApiLab().client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-json")
    assert "digits" in answer.json()["detail"]
