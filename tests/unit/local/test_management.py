"""One request for a frame to several sockets of a process, which API Gateway does not have."""

import json
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from comfyq.domain.request_signature import SignedRequest, signed_headers
from comfyq.local.management import MAX_NAMED_BYTES, Held, Management
from comfyq.local.outbox import BufferFull
from comfyq.ports.notifier import NORMAL, Close
from comfyq.testing.memory.clock import ManualClock

SECRET = b"a secret of this test"
MOST = 1_000  # bytes of a frame


class Socket:
    """Takes so many frames."""

    client_host = user_agent = ""
    connected_at = last_active_at = datetime(2026, 1, 1, tzinfo=UTC)

    def __init__(self, room: int, *, is_open: bool = True) -> None:
        self.open = is_open
        self.room = room
        self.frames: list[str] = []

    def post(self, text: str) -> None:
        if len(self.frames) == self.room:
            raise BufferFull
        self.frames.append(text)

    def close(self, close: Close = NORMAL) -> None:
        raise NotImplementedError


class Lab:
    def __init__(self) -> None:
        self.sockets = {"a=": Socket(9), "full": Socket(0), "early": Socket(9, is_open=False)}
        self.clock = ManualClock()
        management = Management(
            self._find, stage="local", max_message_bytes=MOST, secret=self._secret, clock=self.clock
        )
        self.client = TestClient(management.app, base_url="http://h")

    def post(self, body: bytes, *, secret: bytes = SECRET) -> tuple[int, object]:
        request = SignedRequest("POST", "/local/@connections", {"host": "h"}, body)
        headers = signed_headers(request, secret, now=self.clock.now())
        answer = self.client.post(request.path, content=body, headers=headers)
        return answer.status_code, answer.json()

    def _find(self, connection_id: str) -> Held | None:
        return self.sockets.get(connection_id)

    async def _secret(self) -> bytes:
        return SECRET


@pytest.fixture
def lab() -> Lab:
    return Lab()


def body(frame: bytes, *ids: str) -> bytes:
    return json.dumps(ids).encode() + b"\n" + frame


def test_it_tells_who_has_gone_and_who_does_not_read(lab: Lab) -> None:
    frame = b'{"two":\n"lines"}'
    told = lab.post(body(frame, "full", "a=", "never", "early"))
    assert told == (200, {"gone": ["never", "early"], "full": ["full"]})
    assert lab.sockets["a="].frames == [frame.decode()]


def test_who_does_not_know_the_secret_posts_to_nobody(lab: Lab) -> None:
    assert lab.post(body(b"{}", "a="), secret=b"guessed")[0] == 403
    assert lab.client.post("/local/@connections", content=body(b"{}", "a=")).status_code == 403
    assert lab.sockets["a="].frames == []


def test_a_frame_over_the_limit_is_posted_to_nobody(lab: Lab) -> None:
    for size in (MOST + 1, MOST + MAX_NAMED_BYTES):
        assert lab.post(body(b"x" * size, "a="))[0] == 413
    assert lab.post(body(b"x" * MOST, "a="))[0] == 200
    assert lab.sockets["a="].frames == ["x" * MOST]
