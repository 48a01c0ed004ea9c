"""Following ends when the job does, whatever the socket does."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from comfyq.cli import socket
from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import NotReached, Refused
from comfyq.cli.progress_frames import follow
from comfyq.cli.socket import ProgressSocket, SocketGone
from comfyq.cli.terminal.progress import shown_frames
from comfyq.client.sender import Patience
from tests.fake_api import JOB, Close, Deaf, FakeApi, Heard, fake_api, frame

PATH = f"/generate/{JOB}"
STREAM = f"{PATH}/events"


@pytest.fixture
def api(quick: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    quick.setattr(socket, "QUIET_S", 0.05)
    with fake_api() as running:
        yield running


def followed(api: FakeApi) -> list[tuple[int, str, float]]:
    with closing(ApiClient(api.url)) as client:
        frames = list(follow(client, JOB))
    return [(each["seq"], each["status"], each["progress"]) for each in frames]


def running(api: FakeApi, seq: int, progress: float = 0.0) -> Json:
    return api.job(status="running", seq=seq, progress=progress)


def completed(api: FakeApi, seq: int) -> Json:
    return api.job(status="completed", seq=seq, progress=1)


def test_the_socket_tells_everything(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    api.sockets.append([frame(2), frame(3, progress=0.5), frame(4, "completed", 1)])
    assert followed(api) == [
        (1, "queued", 0),
        (2, "running", 0),
        (3, "running", 0.5),
        (4, "completed", 1),
    ]
    assert [path for _, path, *_ in api.requests] == [STREAM, PATH]


def test_a_stream_tells_everything_where_there_is_one(api: FakeApi) -> None:
    api.stream(STREAM, frame(1, "queued"), frame(2), frame(3, "completed", 1))
    api.sockets.append([Deaf()])
    assert [seq for seq, _, _ in followed(api)] == [1, 2, 3]
    assert len(api.sockets) == 1


def test_an_end_is_taken_whatever_its_version_and_its_name(api: FakeApi) -> None:
    """A server that was restored from a backup begins earlier; a newer one knows more ends."""
    shelved = {"ended_at": "2030-01-01T00:00:00Z"}
    api.stream(STREAM, frame(9), frame(4, "completed", 1))
    assert followed(api)[-1] == (4, "completed", 1)
    del api.answers[STREAM]
    api.answer(PATH, running(api, 9), *[api.job(status="completed", seq=4) | shelved] * 2)
    assert followed(api)[-1] == (4, "completed", 0)
    api.answers.clear()
    api.stream(STREAM, frame(9), frame(10, "shelved") | shelved)
    assert followed(api)[-1] == (10, "shelved", 0)


def test_a_socket_that_serves_every_job_is_asked_for_this_one(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    api.sockets.append([Heard(), frame(2, job_id="another"), frame(3, "completed", 1)])
    assert followed(api)[-1] == (3, "completed", 1)
    assert api.said == [{"action": "subscribe", "job_id": JOB}]


def test_older_and_repeated_frames_are_dropped(api: FakeApi) -> None:
    api.answer(PATH, running(api, 5, 0.5))
    late = [frame(4, progress=0.9), frame(5, progress=0.5), frame(5, progress=0.4)]
    api.sockets.append([*late, frame(5, progress=0.6), frame(6, "failed", 0.6)])
    assert followed(api) == [(5, "running", 0.5), (5, "running", 0.6), (6, "failed", 0.6)]


def test_progress_may_fall_with_a_new_attempt(api: FakeApi) -> None:
    api.answer(PATH, running(api, 5, 0.9))
    api.sockets.append([frame(6, "queued"), frame(7, progress=0.1), frame(8, "completed", 1)])
    assert [progress for _, _, progress in followed(api)] == [0.9, 0, 0.1, 1]


def test_a_dropped_socket_is_opened_again(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    api.sockets.extend([[frame(2), Close()], [frame(3, progress=0.5), frame(4, "completed", 1)]])
    assert [seq for seq, _, _ in followed(api)] == [1, 2, 3, 4]


def test_without_a_socket_the_api_tells(api: FakeApi) -> None:
    api.answer(PATH, api.job(), running(api, 2), running(api, 2), running(api, 3, 0.5))
    api.answer(PATH, completed(api, 4))
    assert [seq for seq, _, _ in followed(api)] == [1, 2, 3, 4]


def test_a_deaf_socket_is_found_out(api: FakeApi) -> None:
    api.answer(PATH, api.job(), running(api, 2), completed(api, 3))
    api.sockets.append([Deaf()])
    assert [seq for seq, _, _ in followed(api)] == [1, 2, 3]


def test_a_refused_subscription_is_no_end(api: FakeApi) -> None:
    api.answer(PATH, api.job(), completed(api, 2))
    refusal = {"type": "error", "code": "unavailable", "job_id": JOB, "message": "try again"}
    api.sockets.append([refusal, Deaf()])
    assert followed(api)[-1] == (2, "completed", 1)


def test_a_job_that_has_ended_needs_no_socket(api: FakeApi) -> None:
    api.answer(PATH, completed(api, 9))
    api.sockets.append([Deaf()])
    assert followed(api) == [(9, "completed", 1)]
    assert len(api.sockets) == 1


def test_a_server_may_be_away_for_a_while(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    api.answer(PATH, *[{"detail": "restarting"}] * 5, status=503)
    api.answer(PATH, completed(api, 2))
    assert followed(api)[-1] == (2, "completed", 1)


def test_a_server_that_stays_away_ends_it(api: FakeApi, quick: pytest.MonkeyPatch) -> None:
    quick.setattr("comfyq.cli.client.PATIENT", Patience(give_up_s=0.05, pause_s=0.001))
    api.answer(PATH, api.job())
    api.answer(PATH, {"detail": "restarting"}, status=503)
    with pytest.raises(NotReached):
        followed(api)


def test_a_job_that_is_not_there(api: FakeApi) -> None:
    with pytest.raises(Refused):
        followed(api)


def test_a_long_silence_is_broken_by_pings(api: FakeApi) -> None:
    api.sockets.append([Heard(), {"type": "pong"}, frame(2), Deaf()])
    with closing(ProgressSocket(api.ws_url + f"/{JOB}", JOB, ping_s=0)) as socket:
        assert socket.next(5) == frame(2)
        assert socket.next(0.01) is None
    assert api.said[0] == {"action": "ping"}


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "nonsense", "http://127.0.0.1:1/"])
def test_no_socket_to_be_had(url: str) -> None:
    with pytest.raises(SocketGone):
        ProgressSocket(url, JOB)


def test_a_changed_reason_to_wait_is_shown_once(api: FakeApi) -> None:
    api.answer(PATH, api.job(seq=2, waits_for="a"))
    reasons = ["a", "b", "b", None]
    waiting = [frame(2, "queued", waits_for=reason) for reason in reasons]
    api.sockets.append([*waiting, frame(3, "completed", 1)])
    with closing(ApiClient(api.url)) as client:
        shown = [each["waits_for"] for each in follow(client, JOB) if each["seq"] == 2]
    assert shown == ["a", "b", None]


def test_people_read_the_reason_and_its_changes(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_frames(as_json=False) as show:
        for reason in ("a [worker]", "a [worker]", "b", None):
            show(frame(2, "queued", waits_for=reason, queue_position=7))
        show(frame(3))
    printed = capsys.readouterr().err
    assert [printed.count(f"waits for {each}") for each in ("a [worker]", "b")] == [1, 1]


def test_previews_come_between_frames_for_who_asks(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    preview = {"kind": "preview", "job_id": JOB, "attempt": 1, "node": "3", "data": ""}
    api.sockets.append([frame(2), preview, frame(3, "completed", 1)])
    with closing(ApiClient(api.url)) as client:
        shown = [each.get("kind") for each in follow(client, JOB, previews=True)]
    assert shown == ["status", None, "preview", None]


def test_people_read_how_far_models_have_come(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_frames(as_json=False) as show:
        at = {"bytes": 1_234_000_000, "total": 23_800_000_000, "eta_s": 61}
        show(frame(2, "queued", provisioning=at))
    said = " ".join(capsys.readouterr().err.split())
    assert "1,234 of 23,800 MB of its models, 61 s left" in said


def test_people_read_what_a_running_job_does(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_frames(as_json=False) as show:
        at = {"step": 3, "max_steps": 20, "nodes_done": 4, "nodes_total": 9, "eta_s": 12}
        show(frame(2) | at | {"node_class": "KSampler"})
    said = capsys.readouterr().err
    assert "KSampler 3/20, 4/9 nodes, 12 s left" in " ".join(said.split())
