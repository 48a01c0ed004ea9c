"""Following a job, whatever its server and the way to it do."""

from typing import Any

import pytest

from comfyq.client.errors import NotFound, NotReached, TimedOut, UnexpectedAnswer
from comfyq.client.flows.following import done_batch, ended_job, job_frames
from comfyq.client.flows.results import batch_results
from tests.flow_script import Script, Scripted, answered, problem, streamed

CUT = NotReached("the stream broke")


def job(seq: int, status: str = "running", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "status": status, "progress": 0.0, "seq": seq, "urls": {}, **fields}


def frame(seq: int, status: str = "running", **fields: Any) -> dict[str, Any]:
    return {"kind": "status", "job_id": "a", **job(seq, status), **fields}


def followed(script: Script, *, timeout_s: float | None = None) -> list[tuple[int, str]]:
    sender = script.sender()
    deadline = sender.deadline(timeout_s)
    script.run(lambda: job_frames(sender, "a", previews=False, deadline=deadline))
    return [(each["seq"], each["status"]) for each, _ in script.emitted]


def shown(seq: int, status: str = "running", **fields: Any) -> Scripted:
    return answered(200, job(seq, status, **fields))


def test_frames_are_pushed_and_the_ended_job_comes_with_the_last_one() -> None:
    pushed = streamed(frame(1, "queued"), frame(2), frame(3, "completed"))
    script = Script([pushed, shown(3, "completed", outputs=[{"index": 0}])])
    assert followed(script) == [(1, "queued"), (2, "running"), (3, "completed")]
    assert [job and job["outputs"] for _, job in script.emitted] == [None, None, [{"index": 0}]]


def test_a_stream_that_broke_goes_on_behind_what_was_seen() -> None:
    script = Script(
        [
            streamed(frame(1, "queued"), frame(4), CUT),
            shown(4),
            CUT,
            streamed(frame(3), frame(4), frame(5, progress=0.5), frame(6, "completed")),
            shown(6, "completed"),
        ]
    )
    assert followed(script) == [(1, "queued"), (4, "running"), (5, "running"), (6, "completed")]
    asked = [each.headers.get("Last-Event-ID") for each in script.requests]
    assert asked == [None, None, "4", "4", None]


def test_a_frame_that_is_none_is_told_with_the_url_that_sent_it() -> None:
    script = Script([streamed(frame(1), frame(2, progress="half"))])
    told = "the server at http://server answers otherwise"
    with pytest.raises(UnexpectedAnswer, match=told):
        followed(script)


@pytest.mark.parametrize(
    "refusal", [problem(501, "streams-not-served"), problem(503, "too-many-streams")]
)
def test_where_nothing_is_pushed_the_job_is_asked_for(refusal: Scripted) -> None:
    script = Script(
        [refusal, shown(1, "queued"), shown(1, "queued"), shown(2), *[shown(3, "failed")] * 2]
    )
    assert followed(script) == [(1, "queued"), (2, "running"), (3, "failed")]
    assert [each.target for each in script.requests[1:]] == ["/generate/a"] * 5
    assert all(pause > 0 for pause in script.pauses)


def test_an_end_that_was_seen_is_told_once_more() -> None:
    script = Script([answered(204), *[shown(9, "canceled")] * 2])
    assert followed(script) == [(9, "canceled")]


def test_a_newer_server_breaks_nothing() -> None:
    script = Script(
        [
            streamed(
                {"type": "news", "text": "?"},
                frame(1, "pondering", mood="good"),
                frame(2, "shelved", ended_at="2030-01-01T00:00:00Z"),
            ),
            shown(2, "shelved", ended_at="2030-01-01T00:00:00Z"),
        ]
    )
    assert followed(script) == [(1, "pondering"), (2, "shelved")]


def test_a_queued_jobs_place_is_news() -> None:
    script = Script(
        [
            streamed(
                frame(1, "queued", queue_position=3),
                frame(1, "queued", queue_position=3),
                frame(1, "queued", queue_position=2),
                frame(2, "completed"),
            ),
            shown(2, "completed"),
        ]
    )
    followed(script)
    assert [each.get("queue_position") for each, _ in script.emitted] == [3, 2, None]


def test_a_deadline_ends_following_and_waiting() -> None:
    script = Script([problem(501, "x"), *[shown(1)] * 100])
    with pytest.raises(TimedOut, match="job a has not ended"):
        followed(script, timeout_s=10)
    assert script.now == pytest.approx(1_010)
    script = Script([shown(1)] * 100)
    sender = script.sender()
    with pytest.raises(TimedOut, match="job a has not ended"):
        script.run(lambda: ended_job(sender, "a", sender.deadline(30)))
    assert script.now == pytest.approx(1_030)


def test_waiting_asks_the_server_to_hold_its_answer_and_spares_one_that_cannot() -> None:
    held = answered(200, job(1), preference_applied="wait=20")
    script = Script([held, held, shown(1), shown(2, "completed")])
    sender = script.sender()
    assert script.run(lambda: ended_job(sender, "a", sender.deadline(None)))["seq"] == 2
    assert {each.headers["Prefer"] for each in script.requests} == {"wait=20"}
    assert len(script.pauses) == 1, "after the answer that was not held"


def test_a_job_that_is_not_there_is_an_error_at_once() -> None:
    script = Script([problem(404, "job-not-found")])
    with pytest.raises(NotFound):
        followed(script)


REFUSED = {"code": "invalid-request", "detail": "no prompt", "errors": []}


def item(index: int, status: str) -> dict[str, Any]:
    """A request of a batch as the server shows it; one that is being stored has neither."""
    if status in ("refused", "stored"):
        return {"index": index, "job": None, "error": REFUSED if status == "refused" else None}
    return {"index": index, "job": job(index, status), "error": None}


def batch(seq: int, *statuses: str, done: bool = False) -> dict[str, Any]:
    going = [each for each in statuses if each in ("queued", "running", "stored")]
    items = [item(index, each) for index, each in enumerate(statuses)]
    return {
        "kind": "batch",
        "batch_id": "b",
        "seq": seq,
        "done": done,
        "progress": 0,
        "counts": {"queued": len(going), "running": 0},
        "items": items,
    }


def test_a_batchs_requests_are_told_once_each_as_they_end() -> None:
    first = batch(1, "running", "refused", "stored")
    second = batch(5, "running", "refused", "completed")
    last = batch(7, "failed", "refused", "completed", done=True)
    frames = streamed(first, batch(2, "running", "refused", "stored"), second, last)
    script = Script([frames, *(answered(200, each) for each in (first, second, last))])
    sender = script.sender()
    script.run(lambda: batch_results(sender, "b", sender.deadline(None)))
    assert [each["index"] for each in script.emitted] == [1, 2, 0]


def test_a_batch_is_waited_for_as_a_job_is() -> None:
    last = batch(7, "failed", done=True)
    script = Script([answered(200, batch(1, "running")), *[answered(200, last)] * 2])
    sender = script.sender()
    assert script.run(lambda: done_batch(sender, "b", sender.deadline(None)))["items"]
