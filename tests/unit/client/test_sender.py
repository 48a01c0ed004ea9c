"""When a request is sent again, and when it is given up."""

from dataclasses import replace

import pytest

from comfyq.client import calls
from comfyq.client.errors import (
    ApiError,
    BadValue,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotReached,
    RateLimited,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    error_of,
)
from comfyq.client.messages import Request
from tests.cells import Cells
from tests.flow_script import Script, Scripted, answered, problem

AWAY = NotReached("the answer broke off")
UNSENT = NotReached("nobody listens", unsent=True)
ONCE = calls.create_key({"name": "a"})
AGAIN = Request(method="GET", target="/generate/a")


def sent(
    script: Script, request: Request, *, timeout_s: float | None = None, **patience: float
) -> dict[str, object]:
    sender = script.sender(**patience)
    return script.run(lambda: sender.json(request, sender.deadline(timeout_s)))


@pytest.mark.parametrize("lost", [AWAY, UNSENT, problem(503, "unavailable"), problem(502, "x")])
def test_what_can_be_repeated_is_sent_until_it_is_answered(lost: Scripted) -> None:
    script = Script([lost, lost, answered(body={"id": "a"})])
    assert sent(script, AGAIN) == {"id": "a"}
    assert script.requests == [AGAIN] * 3
    assert script.pauses[0] < script.pauses[1]


def test_a_submission_is_repeated_under_its_key() -> None:
    script = Script([AWAY, answered(202, {"id": "a", "status": "queued"})])
    sent(script, calls.submit({"prompt": "a fox"}, key="k"))
    assert [each.headers["Idempotency-Key"] for each in script.requests] == ["k", "k"]


@pytest.mark.parametrize("lost", [AWAY, problem(503, "unavailable")])
def test_what_would_be_done_twice_is_not_sent_twice(lost: Scripted) -> None:
    script = Script([lost])
    with pytest.raises((NotReached, ServerFailed)):
        sent(script, ONCE)


@pytest.mark.parametrize("undone", [UNSENT, problem(429, "rate-limited", retry_after="3")])
def test_what_was_not_done_is_sent_again_in_any_case(undone: Scripted) -> None:
    script = Script([undone, answered(201, {"id": "k", "key": "secret"})])
    assert sent(script, ONCE) == {"id": "k", "key": "secret"}


def test_a_server_that_says_when_is_heeded() -> None:
    script = Script([problem(429, "rate-limited", retry_after="17"), answered()])
    sent(script, AGAIN)
    assert script.pauses == [17]


def test_who_asks_for_more_patience_than_there_is_is_not_waited_for() -> None:
    script = Script([problem(429, "quota", retry_after="3600")])
    with pytest.raises(RateLimited) as refused:
        sent(script, AGAIN)
    assert (refused.value.retry_after_s, script.pauses) == (3600, [])


def test_patience_ends() -> None:
    script = Script([AWAY] * 100)
    with pytest.raises(NotReached) as away:
        sent(script, AGAIN, give_up_s=20)
    assert not isinstance(away.value, TimedOut)
    assert 10 < sum(script.pauses) <= 20


def test_a_deadline_ends_it_before_and_shortens_each_try() -> None:
    script = Script([AWAY] * 100)
    with pytest.raises(TimedOut):
        sent(script, AGAIN, timeout_s=2)
    assert sum(script.pauses) <= 2
    assert all(each <= 2 for each in script.read_s)
    assert script.read_s == sorted(script.read_s, reverse=True)


def test_each_refusal_is_an_exception_of_its_own_and_not_repeated() -> None:
    kinds: dict[int, type[ApiError]] = {
        400: InvalidRequest,
        401: Unauthenticated,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        413: InvalidRequest,
        415: InvalidRequest,
        418: ApiError,
        422: InvalidRequest,
        500: ServerFailed,
        501: ServerFailed,
        599: ServerFailed,
    }
    with Cells() as cells:
        for status, kind in kinds.items():
            with cells.cell(str(status)):
                with pytest.raises(ApiError) as refused:
                    sent(Script([problem(status, "some-code")]), AGAIN)
                assert (type(refused.value), refused.value.code) == (kind, "some-code")


def test_a_refusal_says_what_where_and_by_which_id() -> None:
    body = {
        "code": "invalid-parameters",
        "detail": "steps: must be at most 100",
        "errors": [{"field": "steps", "message": "must be at most 100"}, "new kind"],
        "request_id": "r1",
    }
    error = error_of(answered(422, body))
    assert (error.detail, error.request_id) == ("steps: must be at most 100", "r1")
    assert [(each.field, each.message) for each in error.fields] == [
        ("steps", "must be at most 100")
    ]
    assert str(error) == "invalid-parameters (422): steps: must be at most 100"


def test_a_refusal_of_something_else_is_one_too() -> None:
    plain = error_of(answered(502, "Bad Gateway"))
    assert (plain.code, plain.detail, plain.fields) == ("http-502", "So it is", [])


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'["no object"]', b"{}", b'{"jobs": []}', b"\xff", DEEP.encode()]
)
def test_who_answers_something_else_is_not_comfyq(body: bytes) -> None:
    """A job without an id, of any server's ``{}``, would be followed to nowhere."""
    script = Script([replace(answered(), content=body)])
    with pytest.raises(NotReached, match="not comfyq"):
        sent(script, calls.submit({"prompt": "a fox"}, key="k"))
    refused = error_of(replace(answered(502), content=body))
    assert (refused.code, refused.fields) == ("http-502", [])


def test_a_garbled_refusal_is_one_too() -> None:
    body = {"code": 7, "detail": None, "errors": 5, "request_id": 3}
    garbled = error_of(answered(422, body, retry_after="9" * 5_000))
    assert (garbled.code, garbled.fields) == ("7", [])
    script = Script([answered(429, body, retry_after="9" * 5_000)])
    with pytest.raises(RateLimited):
        sent(script, AGAIN)


NOW = "Fri, 27 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("again", "date", "pause_s"),
    [
        ("Fri, 27 Nov 2026 12:00:17 GMT", NOW, 17),
        ("Fri, 27 Nov 2026 11:00:00 GMT", NOW, 0),
        ("Fri, 27 Nov 2026 12:00:17 GMT", "", None),
        ("-3", NOW, None),
        ("soon", NOW, None),
        ("", NOW, None),
    ],
)
def test_a_time_by_the_servers_clock_is_heeded(again: str, date: str, pause_s: int | None) -> None:
    told = error_of(answered(429, {}, retry_after=again, date=date))
    assert told.retry_after_s == pause_s


@pytest.mark.parametrize("name", ["", ".", "..", "batch/0b29", "..\\keys", "a/../b", "a\ud800"])
def test_an_id_that_is_none_leads_nowhere(name: str) -> None:
    for ask in (calls.job, calls.cancel, calls.purge, calls.cancel_batch, calls.workflow):
        with pytest.raises(BadValue, match="no id"):
            ask(name)
    assert calls.job("a?b\udcff").target == "/generate/a%3Fb%FF"
