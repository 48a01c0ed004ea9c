"""What is told of answers that are no ComfyUI's."""

import pytest

from comfyq.adapters.comfyui.replies import BadReply, Reply, expect_ok


def test_another_server_s_page_is_not_part_of_the_reason() -> None:
    problem = b'{"title": "Not Found", "status": 404, "detail": "no such route"}'
    with pytest.raises(BadReply, match="is it a ComfyUI") as refused:
        expect_ok(Reply(404, problem), "system_stats")
    assert "{" not in str(refused.value)
