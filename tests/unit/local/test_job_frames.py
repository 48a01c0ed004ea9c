import json

import pytest

from comfyq.local.job_frames import JobFrames


def frame(seq: int, progress: float, status: str = "running") -> str:
    return json.dumps({"seq": seq, "progress": progress, "status": status})


def test_frames_that_overtook_each_other_come_out_in_order() -> None:
    following = JobFrames("j")
    came = [frame(2, 0.2), frame(4, 0.4), frame(3, 0.3), frame(5, 0.5)]
    assert [text for text in came if following.admit(text)] == [came[0], came[1], came[3]]
    assert following.last == came[3]


def test_progress_between_two_stored_versions_passes_but_never_falls() -> None:
    following = JobFrames("j")
    assert [following.admit(frame(2, share)) for share in (0.1, 0.2, 0.2, 0.15)] == [
        True,
        True,
        True,
        False,
    ]


def test_another_attempt_begins_anew() -> None:
    following = JobFrames("j")
    assert following.admit(frame(5, 0.9))
    assert following.admit(frame(6, 0.0, "queued"))


@pytest.mark.parametrize("status", ["completed", "failed", "canceled"])
def test_an_end_is_noticed(status: str) -> None:
    following = JobFrames("j")
    following.admit(frame(1, 0.0))
    assert not following.ended
    following.admit(frame(2, 1.0, status))
    assert following.ended


def test_a_late_frame_does_not_undo_the_end() -> None:
    following = JobFrames("j")
    following.admit(frame(9, 1.0, "completed"))
    assert not following.admit(frame(8, 0.9))
    assert following.ended


def test_an_end_passes_at_any_age_and_once() -> None:
    following = JobFrames("j", since=99)
    assert not following.admit(frame(2, 0.5))
    assert following.admit(frame(3, 1.0, "completed"))
    assert following.ended
    assert not following.admit(frame(3, 1.0, "completed"))
    batch = JobFrames("b")
    assert batch.admit(frame(17, 0.5))
    done = {"seq": 15, "progress": 1.0, "done": True}  # of a job that was tried again meanwhile
    assert batch.admit(json.dumps(done))
    assert batch.ended


def test_only_its_own_jobs_refusal_ends_it() -> None:
    following = JobFrames("j")
    for text in ('{"type":"error","code":"invalid-request","job_id":null}', "[]", "pong", "1"):
        assert following.admit(text)
        assert not following.refused
    assert following.admit('{"type":"error","code":"job-not-found","job_id":"j"}')
    assert following.refused


def test_a_fresh_frame_that_could_not_be_read_ends_nothing() -> None:
    following = JobFrames("j")
    away = json.dumps({"type": "error", "code": "table-unavailable", "job_id": "j"})
    assert following.admit(frame(1, 0.0))
    assert not following.admit(away)
    assert not following.refused
    assert following.admit(json.dumps({"type": "error", "code": "job-not-found", "job_id": "j"}))
    assert following.refused
    unseen = JobFrames("j")
    assert unseen.admit(away)
    assert unseen.refused
