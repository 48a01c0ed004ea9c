"""What the page says and offers where an answer is a problem, none of comfyq, or none at all."""

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from playwright.sync_api import Browser, Route, WebSocketRoute, expect

from tests.e2e.page.visit import WAIT_MS, Visit
from tests.processes import Process, Processes

pytestmark = pytest.mark.browser

PROBLEM = "application/problem+json"
NEWEST = re.compile(r"/generate\?limit=24")
QUEUE = re.compile(r"/generate\?status=queued")
HISTORY = re.compile(r"/generate\?limit=50")
NO_STORAGE = """
for (const name of ["sessionStorage", "localStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with one job that has ended."""
    started = Processes(tmp_path_factory.mktemp("page"))
    try:
        up = started.up()
        body = {"prompt": "a pond", "width": 64, "height": 64, "steps": 1}
        headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
        url = f"{up.url}/workflows/sd15/generate"
        made = urllib3.request("POST", url, body=json.dumps(body), headers=headers, timeout=60)
        assert made.json()["status"] == "completed", made.data
        yield up
    finally:
        started.close()


@pytest.fixture
def lets_requests_fail() -> bool:
    return True


def refuse(route: Route) -> None:
    said = {"status": 429, "code": "rate_limited", "detail": "Too many requests.", "title": "-"}
    route.fulfill(status=429, content_type=PROBLEM, body=json.dumps(said))


def test_what_is_not_loaded_is_told_and_loaded_again(visit: Visit) -> None:
    page = visit.page
    page.route("**/quota", refuse)
    visit.open()
    again = page.locator(".form-panel").get_by_role("button", name="Load again")
    expect(page.locator(".form-panel")).to_contain_text("Too many requests", timeout=WAIT_MS)
    page.unroute("**/quota")
    again.click()
    expect(page.get_by_role("button", name="Generate")).to_be_visible(timeout=WAIT_MS)

    page.route(HISTORY, refuse)
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Too many requests", timeout=WAIT_MS)
    page.unroute(HISTORY)
    page.get_by_role("button", name="Load again").click()
    expect(page.get_by_role("alert")).to_have_count(0, timeout=WAIT_MS)
    expect(page.get_by_text("1 job", exact=True)).to_be_visible(timeout=WAIT_MS)


def test_no_answer_has_the_page_wait_for_an_hour_or_not_at_all(visit: Visit) -> None:
    page = visit.page
    asked: list[str] = []
    retry_after = str(2**31)  # no timer takes so many milliseconds

    def later(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": retry_after})

    def leave() -> None:
        """Leave the list, and stay away until another one has been asked for in its time."""
        page.get_by_role("link", name="Queue", exact=True).click()
        with page.expect_response(QUEUE):
            pass
        with page.expect_response(QUEUE):
            page.clock.fast_forward(60_000)

    page.clock.install()
    page.route(HISTORY, later)
    visit.open("history")
    leave()
    assert len(asked) == 1

    retry_after = "3600"
    page.get_by_role("link", name="History", exact=True).click()
    for _ in range(20):
        page.clock.fast_forward(30_000)
        page.evaluate("fetch('/health').then((answer) => answer.text())")
        if len(asked) > 2:
            break
    assert len(asked) > 2, "ten minutes have passed by its clock"
    leave()
    before = len(asked)
    leave()
    assert len(asked) == before


def test_who_left_a_list_before_it_was_loaded_finds_it(visit: Visit) -> None:
    page = visit.page
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright takes no method of a list
        held.append(route)

    page.route(HISTORY, hold)
    page.route(NEWEST, refuse)  # which the list shows too
    with page.expect_request(HISTORY):
        visit.open("history")
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_text("Nothing waits")).to_be_visible(timeout=WAIT_MS)
    page.unroute(HISTORY)
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.locator(".card")).to_have_count(1, timeout=WAIT_MS)
    for route in held:
        route.abort()


def test_an_answer_of_something_else_is_told(visit: Visit) -> None:
    page = visit.page
    page.route("**/health", lambda route: route.fulfill(body="<h1>Sign in to the Wi-Fi</h1>"))
    visit.open("system")
    expect(page.get_by_role("alert")).to_contain_text("no answer of comfyq", timeout=WAIT_MS)


def test_what_fails_in_a_window_is_said_in_it(visit: Visit) -> None:
    page = visit.page
    visit.open("history")
    page.locator(".card a").first.click()
    page.route("**/generate/*?purge=true", refuse)
    page.get_by_role("button", name="Delete").click()
    window = page.get_by_role("dialog")
    window.get_by_role("button", name="Delete it").click()
    expect(window.get_by_role("status")).to_contain_text("Too many requests", timeout=WAIT_MS)
    expect(page.locator(".toast")).to_have_count(1)
    window.get_by_role("button", name="Close").click()

    page.route("**/outputs/**", lambda route: route.abort())
    page.get_by_role("button", name="Use as input").click()
    choice = window.get_by_role("button", name="image to image")
    choice.click()
    expect(window.get_by_role("status")).to_contain_text("could not be read", timeout=WAIT_MS)
    page.unroute("**/outputs/**")
    choice.click()
    expect(page.locator(".kind-image figure img")).to_be_visible(timeout=WAIT_MS)


def test_a_browser_that_keeps_nothing_shows_it_all_the_same(browser: Browser, up: Process) -> None:
    visit = Visit(browser, up.url)
    try:
        visit.context.add_init_script(NO_STORAGE)
        visit.open()
        visit.choose("sd15")
        visit.fill({"prompt": "a well"})
        visit.page.get_by_role("button", name=re.compile("Auto")).click()
        assert visit.errors == []
    finally:
        visit.close()


@pytest.mark.verify
def test_jobs_and_batches_are_followed_where_no_socket_opens(visit: Visit, up: Process) -> None:
    page = visit.page
    page.route_web_socket("**/local*", lambda socket: socket.close())
    visit.open("create/sd15")
    visit.fill({"prompt": "a fence", "width": 64, "height": 64, "steps": 30})
    with page.expect_response("**/workflows/sd15/generate") as answer:
        visit.generate()
    visit.open(f"job/{answer.value.json()['id']}")
    expect(page.locator(".status.completed")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".job img[src*='/outputs/']")).to_be_visible(timeout=WAIT_MS)

    common = {"workflow": "sd15", "prompt": "a hedge", "width": 64, "height": 64, "steps": 20}
    body = {"request": common, "product": {"seed": [1, 2, 3]}}
    made = urllib3.request("POST", f"{up.url}/generate/batch", json=body).json()
    visit.open(f"batch/{made['batch_id']}")
    expect(page.get_by_text("3 completed")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".card img[src*='/outputs/']")).to_have_count(3, timeout=WAIT_MS)


def test_times_go_on_and_links_are_renewed(visit: Visit) -> None:
    page = visit.page
    page.clock.install()
    visit.open("history")
    card = page.locator(".card").first
    expect(card).to_contain_text(re.compile(r"now|ago"), timeout=WAIT_MS)
    page.clock.fast_forward("30:00")
    expect(card).to_contain_text(re.compile(r"3\d min ago"), timeout=WAIT_MS)
    page.locator(".card a").first.click()
    expect(page.locator(".facts").first).to_be_visible(timeout=WAIT_MS)
    page.evaluate("Date.now = ((now) => () => now() + 8 * 86_400_000)(Date.now)")
    with page.expect_request(re.compile(r"/generate/[0-9a-f-]{36}$")), page.expect_download():
        page.get_by_role("link", name="Download").click()


def test_workflows_that_can_run_now_are_told_without_a_reload(visit: Visit) -> None:
    page = visit.page

    def lacking(route: Route) -> None:
        answer = route.fetch()
        listed = answer.json()
        for each in listed["workflows"]:
            each.update(available=False, reasons=["It lacks a model."])
        route.fulfill(response=answer, json=listed)

    page.clock.install()
    page.route("**/workflows", lacking)
    visit.open("create/sd15")
    expect(page.get_by_text("No worker can run it now")).to_be_visible(timeout=WAIT_MS)
    page.unroute("**/workflows")
    page.clock.fast_forward("00:16")
    expect(page.get_by_text("No worker can run it now")).to_have_count(0, timeout=WAIT_MS)


def test_who_has_signed_in_is_not_told_that_the_server_is_open(visit: Visit) -> None:
    page = visit.page
    visit.open("keys")
    expect(page.get_by_text("is its owner")).to_be_visible(timeout=WAIT_MS)
    page.evaluate("sessionStorage.setItem('comfyq.key', 'a token')")
    page.reload()
    expect(page.get_by_text("There are no keys")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("is its owner")).to_have_count(0)


@pytest.mark.parametrize("code", ["table-unavailable", "rate-limited"])
def test_a_job_that_could_not_be_followed_is_followed_again(
    visit: Visit, up: Process, code: str
) -> None:
    page = visit.page
    [job] = urllib3.request("GET", f"{up.url}/generate?limit=1").json()["jobs"]
    error = {"type": "error", "code": code, "message": "-", "retry_after_s": 1}
    error |= {"job_ids": [job["id"]]} if code == "rate-limited" else {"job_id": job["id"]}
    end = {"kind": "status", "job_id": job["id"], "status": "completed", "progress": 1.0}
    end |= {"step": 0, "max_steps": 0, "seq": job["seq"] + 1, "attempt": 1}
    is_back, refused = threading.Event(), threading.Event()

    def front(socket: WebSocketRoute) -> None:
        def hear(message: str | bytes) -> None:
            if job["id"] in str(message):
                socket.send(json.dumps(end if is_back.is_set() else error))
                refused.set()

        socket.on_message(hear)

    def show(route: Route) -> None:
        running = {"status": "running", "progress": 0.5, "outputs": [], "ended_at": None}
        route.fulfill(json=job | ({} if is_back.is_set() else running))

    page.route_web_socket("**/local*", front)
    page.route(f"**/generate/{job['id']}", show)
    nothing: dict[str, Any] = {"jobs": [], "next_cursor": None}
    page.route("**/generate?*", lambda route: route.fulfill(json=nothing))  # which tell of it too
    visit.open(f"job/{job['id']}")
    expect(page.locator(".status.running")).to_be_visible(timeout=WAIT_MS)
    while not refused.is_set():
        page.wait_for_timeout(20)  # in which Playwright calls what hears
    is_back.set()
    expect(page.locator(".status.completed")).to_be_visible(timeout=WAIT_MS)


def test_what_does_not_pass_is_told_and_when_to_come_again_is_heeded(visit: Visit) -> None:
    page = visit.page
    asked: list[str] = []

    def refuse_as(route: Route) -> None:
        asked.append("again")
        code = "overloaded" if len(asked) == 1 else "clock-skewed"
        said = {"status": 503, "code": code, "detail": f"It is {code}.", "title": "-"}
        headers = {"Retry-After": "5", "Content-Type": PROBLEM}
        route.fulfill(status=503, headers=headers, body=json.dumps(said))

    page.clock.install()
    page.route("**/quota", refuse_as)
    with page.expect_response("**/quota"):
        visit.open()
    page.clock.run_for(4_000)
    assert asked == ["again"]
    page.clock.run_for(2_000)
    expect(page.locator(".form-panel")).to_contain_text("It is clock-skewed", timeout=WAIT_MS)


def test_a_server_that_cannot_do_it_now_is_asked_ever_more_seldom(visit: Visit) -> None:
    page = visit.page
    asked: list[str] = []

    def bad_gateway(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    def asked_in_a_minute() -> int:
        before = len(asked)
        for _ in range(20):
            page.clock.run_for(3_000)
            page.evaluate("fetch('/health').then((answer) => answer.text())")
        return len(asked) - before

    submit = "**/workflows/sd15/generate"
    lost = page.locator(".lost.shown")
    page.clock.install()
    page.route(submit, bad_gateway)
    visit.open("create/sd15")
    visit.fill({"prompt": "a mill", "width": 64, "height": 64, "steps": 1})
    visit.generate()
    first = asked_in_a_minute()
    expect(lost).to_contain_text("cannot do it now", timeout=WAIT_MS)
    expect(lost).to_contain_text("502")
    page.clock.fast_forward(60_000)
    assert 0 < asked_in_a_minute() <= first / 2

    # one that is away is asked as soon as it is back: another view asks for something
    page.unroute(submit)
    page.route("**/*", lambda route: route.abort())
    for _ in range(4):
        page.clock.run_for(10_000)
    expect(lost).to_contain_text("does not answer", timeout=WAIT_MS)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    page.unroute("**/*")
    with page.expect_response(submit):
        page.get_by_role("link", name="System", exact=True).click()
        page.clock.run_for(1_000)
    expect(lost).to_have_count(0, timeout=WAIT_MS)
