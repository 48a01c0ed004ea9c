"""The limit on what frames of sockets name."""

import pytest

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import RateLimited
from comfyq.services.limits import frame_limit, memory_buckets
from comfyq.services.limits.frame_limit import FrameLimit

ACME = TenantId("acme")
KEYED = Caller(ACME, frozenset(), key="k1")


class Frames:
    """A limit of 60 jobs a minute for a socket, and of 120 for a client, by a clock that stands."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.limit = FrameLimit(of_socket=60, of_client=120, now_s=lambda: self.now_s)

    def refused(self, socket: str, jobs: int) -> RateLimited | None:
        try:
            self.limit.take(socket, jobs)
        except RateLimited as refused:
            return refused
        return None


@pytest.fixture
def frames() -> Frames:
    return Frames()


def test_what_a_socket_has_named_comes_back_second_by_second(frames: Frames) -> None:
    assert frames.refused("s1", 60) is None
    refused = frames.refused("s1", 10)
    assert refused is not None
    assert (refused.code, refused.retry_after_s) == ("rate-limited", 10)
    assert "this socket" in str(refused)
    assert frames.refused("s2", 60) is None, "another one's is its own"
    frames.now_s += 9
    assert frames.refused("s1", 10) is not None
    frames.now_s += 1
    assert frames.refused("s1", 10) is None
    assert frames.refused("s1", 1) is not None
    frames.now_s += 3_600
    assert frames.refused("s1", 60) is None
    assert frames.refused("s1", 1) is not None, "no more than a minute's worth is saved up"


def test_a_frame_that_names_more_than_there_ever_is_passes_as_a_debt(frames: Frames) -> None:
    assert frames.refused("s1", 90) is None
    refused = frames.refused("s1", 1)
    assert refused is not None
    assert refused.retry_after_s == 31


@pytest.mark.parametrize(
    ("one", "other", "whose"),
    [
        (KEYED, Caller(ACME, frozenset(), key="k2"), "your key"),
        (
            Caller(ACME, frozenset(), subject="a"),
            Caller(ACME, frozenset(), subject="b"),
            "the subject of your token",
        ),
        (Caller(ACME, frozenset()), Caller(TenantId("b"), frozenset()), "your tenant"),
    ],
)
def test_all_sockets_of_one_client_share_what_they_may_name(
    frames: Frames, one: Caller, other: Caller, whose: str
) -> None:
    for socket in ("s1", "s2", "s3"):
        frames.limit.belongs(socket, one)
    frames.limit.belongs("s9", other)
    assert frames.refused("s1", 60) is None
    assert frames.refused("s2", 50) is None
    refused = frames.refused("s3", 20)
    assert refused is not None
    assert refused.retry_after_s == 5
    assert f"all sockets of {whose} may" in str(refused)
    assert frames.refused("s3", 10) is None, "what was refused has used up nothing"
    assert frames.refused("s9", 60) is None
    frames.limit.forget("s1")
    frames.limit.belongs("s1", one)
    assert frames.refused("s1", 1) is not None, "who comes again has used up what was used"


def test_whoever_waits_as_long_as_it_is_told_is_served(frames: Frames) -> None:
    """Also if the socket has to wait, and its client for longer."""
    for socket, jobs in {"s1": 51, "s2": 60, "s3": 9}.items():
        frames.limit.belongs(socket, KEYED)
        assert frames.refused(socket, jobs) is None
    refused = frames.refused("s1", 10)
    assert refused is not None
    assert "your key" in str(refused)
    frames.now_s += refused.retry_after_s
    assert frames.refused("s1", 10) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frame_limit, memory_buckets):
        monkeypatch.setattr(module, "REMEMBERED", 10)
    frames = Frames()
    for number in range(100):
        frames.limit.belongs(f"s{number}", KEYED)
        frames.limit.take(f"s{number}", 1)
    assert frames.refused("s99", 60) is not None
    assert frames.refused("s99", 20) is None, "the key's own is used all the time, so it stays"
    assert frames.refused("s99", 1) is not None
    assert len(frames.limit._buckets._full_us) == len(frames.limit._clients) == 10
