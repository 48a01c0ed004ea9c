"""A history of a thousand jobs."""

import json
from collections.abc import Iterable, Iterator, Sequence

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from tests.e2e.page.visit import WAIT_MS, Visit
from tests.processes import Process, Processes

pytestmark = [pytest.mark.browser, pytest.mark.verify, pytest.mark.timeout(600)]

JOBS = 1_000
AT_ONCE = 500
WIDTH = 64
SCROLLED = """
async () => {
  const frames = [];
  let last = performance.now();
  for (let still = 0; still < 60; ) {
    const top = scrollY;
    scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
    still = scrollY === top ? still + 1 : 0;
  }
  return frames.sort((one, other) => one - other);
}
"""


PAGE = 50  # jobs that are asked for at once: when the end of the list is near, or by its button
MORE = "document.querySelector('.loading button')?.click()"


def make(up: Process, count: int) -> None:
    common = {"workflow": "sd15", "prompt": "a cell", "width": WIDTH, "height": WIDTH, "steps": 1}
    for start in range(0, count, AT_ONCE):
        product = {"seed": list(range(start, start + AT_ONCE))}
        body = json.dumps({"request": common, "product": product}).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{up.url}/generate/batch"
        made = urllib3.request("POST", url, body=body, headers=headers, timeout=60)
        assert made.status == 202, made.data
        headers = {"Prefer": "wait=20"}
        url = f"{up.url}/generate/batch/{made.json()['batch_id']}"
        while not urllib3.request("GET", url, headers=headers, timeout=60).json()["done"]:
            pass


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    started = Processes(tmp_path_factory.mktemp("page"))
    try:
        up = started.up(workers=2, env={"COMFYQ_WAITING_JOBS": "2000"})
        make(up, JOBS)
        yield up
    finally:
        started.close()


def pictures(urls: Iterable[str]) -> int:
    return sum("/outputs/" in each for each in urls)


def test_pictures_are_loaded_as_they_come_near(browser: Browser, up: Process) -> None:
    visit = Visit(browser, up.url)
    page, loaded = visit.page, set[str]()
    page.on("requestfinished", lambda each: loaded.add(each.url))
    try:
        visit.open("history")
        cards = page.locator(".card")
        expect(cards.first.locator("img")).to_be_visible(timeout=WAIT_MS)
        for count in range(2 * PAGE, JOBS + 1, PAGE):
            page.evaluate(MORE)
            expect(cards.nth(count - 1)).to_be_attached(timeout=WAIT_MS)
        expect(cards).to_have_count(JOBS, timeout=WAIT_MS)
        page.wait_for_load_state("networkidle")
        assert 0 < pictures(loaded) < JOBS / 5
        last = cards.last.locator("img")
        assert last.evaluate("(each) => each.naturalWidth") == 0
        cards.last.scroll_into_view_if_needed()
        expect(last).to_have_js_property("naturalWidth", WIDTH, timeout=WAIT_MS)
        assert pictures(loaded) < JOBS / 2, "what was passed over is loaded too"
        assert visit.errors == []
    finally:
        visit.close()


def test_a_thousand_jobs_scroll_smoothly(browser: Browser, up: Process) -> None:
    visit = Visit(browser, up.url)
    try:
        visit.open("history")
        cards = visit.page.locator(".card")
        expect(cards).to_have_count(50, timeout=WAIT_MS)
        few: Sequence[float] = visit.page.evaluate(SCROLLED)
        expect(cards).to_have_count(JOBS, timeout=WAIT_MS)
        visit.page.evaluate("scrollTo(0, 0)")
        many: Sequence[float] = visit.page.evaluate(SCROLLED)
        print(
            f"frames at the median and 99 of 100, ms: {middle(many)}; while loading {middle(few)}"
        )
        assert middle(many)[0] < 3 * middle(few)[0], "a thousand cost more than those before them"
        cards.nth(JOBS // 2).get_by_role("link").click()
        expect(visit.page.locator(".facts").first).to_contain_text("a cell", timeout=WAIT_MS)
        visit.page.go_back()
        expect(cards).to_have_count(JOBS, timeout=WAIT_MS)
        expect(cards.nth(JOBS // 2)).to_be_in_viewport(timeout=WAIT_MS)
        assert visit.errors == []
    finally:
        visit.close()


def middle(frames: Sequence[float]) -> tuple[float, float]:
    return round(frames[len(frames) // 2], 1), round(frames[len(frames) * 99 // 100], 1)
