"""The whole way of a person through the page: form, progress, gallery, again, cancel, batch."""

import re
from collections.abc import Iterator

import pytest
import urllib3
from playwright.sync_api import Browser, Route, expect

from tests.e2e.page.visit import PHONE, WAIT_MS, Visit
from tests.processes import Process, Processes

pytestmark = pytest.mark.browser

STEADY = 0.1  # https://web.dev/articles/cls: what nobody minds
TINY = {"prompt": "a red fox in the snow", "width": 256, "height": 256}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    started = Processes(tmp_path_factory.mktemp("page"))
    try:
        simulator = started.simulator(options=["--step-s", "0.05"])
        yield started.up(comfyui=[simulator.url])
    finally:
        started.close()


def jobs(up: Process, query: str = "") -> list[dict[str, object]]:
    answer = urllib3.request("GET", f"{up.url}/generate?limit=100{query}")
    found: list[dict[str, object]] = answer.json()["jobs"]
    return found


def test_a_picture_from_the_form_to_the_gallery(visit: Visit, up: Process) -> None:
    visit.open()
    page = visit.page
    expect(page.get_by_text("Nothing made yet")).to_be_visible(timeout=WAIT_MS)
    visit.choose("sd15")
    visit.see("empty")
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.method))
    visit.fill({"steps": 9999})
    visit.generate()  # without a prompt, and with too many steps
    wrong = page.locator("form.form [aria-invalid='true']")
    expect(wrong).to_have_count(2)
    expect(page.locator("form.form [name='prompt']")).to_be_focused()
    expect(page.locator(".form-end")).to_contain_text("Prompt is required; Steps is 9999; the most")
    visit.see("refused")
    visit.fill({"steps": 60})
    expect(wrong).to_have_attribute("name", "prompt")  # what is mended is wrong no more
    expect(page.locator(".form-end .trouble")).to_have_text("Nothing was sent: Prompt is required.")
    visit.fill(TINY)
    expect(wrong).to_have_count(0)
    expect(page.locator(".form-end .trouble")).to_have_count(0)
    assert "POST" not in sent, "the page knew"
    visit.generate()
    expect(page.locator(".stage-line progress")).to_be_visible(timeout=WAIT_MS)
    expect(visit.stage.locator("img.preview")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".stage-line")).to_contain_text("KSampler", timeout=WAIT_MS)
    page.evaluate("scrollTo(0, document.querySelector('.form-panel').scrollTop = 0)")
    visit.see("running")
    first = visit.until_made()
    assert visit.shifts < STEADY
    page.get_by_role("button", name="Again, new seed").click()
    visit.until_made(not_src=first)
    seeds = {each["seed"] for each in jobs(up, "&workflow=sd15")}
    assert len(seeds) == 2
    visit.see("made")


def test_by_the_keyboard_alone(visit: Visit, up: Process) -> None:
    asked = {"workflow": "sd15", "prompt": "before", "width": 64, "height": 64, "steps": 1}
    assert urllib3.request("POST", f"{up.url}/generate", json=asked).status == 202
    visit.open("create/sd15")
    page = visit.page
    expect(page.locator("form.form")).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    before = visit.until_made()
    for _ in range(12):
        if page.evaluate("document.activeElement.name") == "prompt":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("a mill")
    sent: list[str] = []
    page.on("request", lambda each: sent.append(f"{each.method} {each.url}"))
    page.keyboard.down("Control")
    page.keyboard.down("Enter")
    visit.until_made(not_src=before)
    page.keyboard.down("Enter")  # it is held, and sent once all the same
    page.evaluate("fetch('health')")
    assert len([each for each in sent if re.fullmatch("POST .*/generate", each)]) == 1


def test_a_job_is_canceled_from_the_queue(visit: Visit, up: Process) -> None:
    visit.open("create/sd15")
    visit.choose("sd15")
    visit.fill({**TINY, "steps": 150})
    visit.generate()
    expect(visit.page.locator(".stage-line progress")).to_be_visible(timeout=WAIT_MS)
    body = {"workflow": "sd15", **TINY, "steps": 150}
    url = f"{up.url}/generate"
    behind = [urllib3.request("POST", url, json=body).json()["id"] for _ in range(2)]
    visit.page.get_by_role("link", name="History", exact=True).click()
    expect(visit.page.locator(".card a", has_text="%")).to_have_accessible_name(
        re.compile(rf"^\d+ % {TINY['prompt']} sd15, seed \d+ (just now|\d+ s ago)$"),
        timeout=WAIT_MS,
    )
    visit.page.get_by_role("link", name="Queue", exact=True).click()
    lines = visit.page.locator(".queue-line")
    line = lines.filter(has_text="Running")
    expect(line).to_contain_text(str(TINY["prompt"]), timeout=WAIT_MS)
    expect(lines.filter(has_text="Waits for the end of the job of yours")).to_have_count(
        1, timeout=WAIT_MS
    )
    visit.page.set_viewport_size(PHONE)
    cut = "all => all.filter((each) => each.scrollWidth > each.clientWidth).length"
    assert lines.locator("p").evaluate_all(cut) == 0, "a line is cut"
    visit.see("queue")
    text = line.locator(".queue-text").bounding_box()
    button = line.get_by_role("button", name="Cancel").bounding_box()
    assert text
    assert button
    assert text["y"] + text["height"] <= button["y"], "one lies over the other"
    line.get_by_role("button", name="Cancel").click()
    for job_id in behind:
        urllib3.request("DELETE", f"{url}/{job_id}")
    expect(visit.page.get_by_text("Nothing waits")).to_be_visible(timeout=WAIT_MS)
    assert {each["workflow"] for each in jobs(up, "&status=canceled")} == {"sd15"}


def test_a_batch_is_a_grid(visit: Visit) -> None:
    visit.open("create/sd15")
    visit.choose("sd15")
    page = visit.page
    visit.fill(TINY)
    page.get_by_text("Several at once").click()
    page.get_by_label("Seeds").fill("3")
    page.get_by_label("Vary").select_option("steps")
    page.get_by_label(re.compile("Values, one a line")).fill("4, 8")
    page.get_by_role("button", name="Generate 6").click()
    expect(page.get_by_role("heading", name="Batch of 6")).to_be_visible(timeout=WAIT_MS)
    for row in ("steps=4", "steps=8"):
        tiles = page.locator("section", has=page.get_by_role("heading", name=row)).locator(".card")
        expect(tiles.locator("img[src*='/outputs/']")).to_have_count(3, timeout=WAIT_MS)
    expect(page.get_by_text("6 completed")).to_be_visible(timeout=WAIT_MS)
    visit.see("batch")
    page.route("**/generate/batch/*?items=true", being_stored)
    page.reload()
    expect(page.get_by_text("Its job is being stored")).to_have_count(2, timeout=WAIT_MS)
    sizes = page.locator(".tile").evaluate_all("all => all.map((each) => each.offsetWidth)")
    assert (len(sizes), len(set(sizes))) == (6, 1), "they do not move when their jobs are there"
    visit.see("storing")


def being_stored(route: Route) -> None:
    """Show a batch as it was before the last two of its jobs were stored."""
    answer = route.fetch()
    shown = answer.json()
    for item in shown["items"][-2:]:
        item["job"] = None
    route.fulfill(response=answer, json=shown | {"done": False})


def test_what_was_made_is_found_compared_and_repeated(visit: Visit, up: Process) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.open("history")
    page = visit.page
    cards = page.locator(".card")
    expect(cards).to_have_count(len(jobs(up)), timeout=WAIT_MS)
    visit.see("history")
    sizes = page.locator(".tile").evaluate_all("all => all.map((each) => each.offsetWidth)")
    assert len(set(sizes)) == 1, "a name stretches its tile"
    page.get_by_label("Status").select_option("canceled")
    expect(cards).to_have_count(len(jobs(up, "&status=canceled")), timeout=WAIT_MS)
    page.get_by_label("Status").select_option("")
    label = page.get_by_label("Label or id of a job")
    label.fill("fox")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("searched as NAME=VALUE")
    expect(label).to_have_value("fox")
    visit.see("no-label")
    label.fill("varied=steps=8")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(cards).to_have_count(3, timeout=WAIT_MS)
    for index in (0, 1):
        cards.nth(index).hover()
        cards.nth(index).get_by_role("checkbox").check()
    page.get_by_role("region", name="Compare").get_by_role("button", name="Compare").click()
    expect(page.locator(".pair img")).to_have_count(2, timeout=WAIT_MS)
    expect(page.get_by_role("row", name=re.compile("^seed"))).to_be_visible()
    page.get_by_role("button", name="Lay over each other").click()
    page.get_by_label("How much of the first is seen").fill("30")
    visit.see("compare")
    page.go_back()
    cards.first.get_by_role("link").click()
    expect(page.locator(".facts").first).to_contain_text(str(TINY["prompt"]), timeout=WAIT_MS)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_text("Copied as curl.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"{up.url}/workflows/sd15/generate" in copied
    assert '"prompt":"a red fox in the snow"' in copied
    visit.see("job")
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("form.form [name='prompt']")).to_have_value(str(TINY["prompt"]))


def test_a_deleted_job_is_in_no_list_any_more(visit: Visit, up: Process) -> None:
    visit.open()
    visit.choose("sd15")
    visit.fill(TINY | {"steps": 2})
    visit.generate()
    visit.until_made()
    visit.open("history")
    cards, before = visit.page.locator(".card"), len(jobs(up))
    expect(cards).to_have_count(before, timeout=WAIT_MS)
    cards.first.get_by_role("link").click()
    visit.page.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("button", name="Delete it").click()
    expect(cards).to_have_count(before - 1, timeout=WAIT_MS)
    assert len(jobs(up)) == before - 1


def test_an_address_that_somebody_mistyped_shows_the_page(visit: Visit, up: Process) -> None:
    urllib3.request("POST", f"{up.url}/generate", json={"workflow": "sd15", "prompt": "a fox"})
    visit.open("queue/50%")
    expect(visit.page.get_by_role("link", name="History")).to_be_visible(timeout=WAIT_MS)
    for times in ("from=x&to=2026-99-99", "from=2026-02-31&to=2026-1-1"):
        visit.open(f"history?{times}")
        expect(visit.page.locator(".card").first).to_be_visible(timeout=WAIT_MS)
        expect(visit.page.locator("input[type=date]").first).to_have_value("")


def test_the_state_of_the_system(visit: Visit) -> None:
    visit.open("system")
    expect(visit.page.get_by_text("Jobs run", exact=True)).to_be_visible(timeout=WAIT_MS)
    expect(visit.page.locator(".worker")).to_have_count(1)
    visit.see("system")
    visit.open("keys")
    expect(visit.page.get_by_text("There are no keys")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.verify
def test_it_is_dark_where_the_system_is(browser: Browser, up: Process) -> None:
    visit = Visit(browser, up.url, color_scheme="dark")
    try:
        for view, name in (("create/sd15", "create"), ("history", "history"), ("system", "system")):
            visit.open(view)
            expect(visit.page.locator(".loading")).to_have_count(0, timeout=WAIT_MS)
            visit.see(f"dark-{name}")
        assert visit.errors == []
    finally:
        visit.close()


def test_pictures_that_are_shown_are_not_loaded_again(visit: Visit) -> None:
    """Each answer has other links to them."""
    loaded: list[str] = []
    visit.page.on("request", lambda each: loaded.append(each.url.partition("?")[0]))
    visit.open("create/sd15")
    visit.until_made()
    expect(visit.page.locator(".grid img").first).to_be_visible(timeout=WAIT_MS)
    for _ in range(2):
        with visit.page.expect_response(re.compile(r"/generate\?limit=24")):
            pass
    shown = visit.stage.locator("img").get_attribute("src") or ""
    [path] = [each for each in set(loaded) if each.endswith(shown.partition("?")[0])]
    assert loaded.count(path) == 1


@pytest.mark.verify
@pytest.mark.parametrize("width", [768, 1920])
def test_every_width_has_room_for_it(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    for view in ("create/sd15", "history", "queue", "system"):
        visit.open(view)
        expect(visit.page.locator(".loading")).to_have_count(0, timeout=WAIT_MS)
        visit.see(f"{width}-{view.split('/')[0]}")


def test_what_is_fetched_weighs_little_and_comes_from_here(visit: Visit, up: Process) -> None:
    visit.open()
    expect(visit.page.get_by_role("button", name="Generate")).to_be_visible(timeout=WAIT_MS)
    print(f"its form is there after {visit.page.evaluate('performance.now()'):.0f} ms")
    entries = visit.page.evaluate(
        "performance.getEntriesByType('resource').map((each) => [each.name, each.decodedBodySize])"
    )
    assert {name.startswith(up.url) or name.startswith("data:") for name, _ in entries} == {True}
    own = [size for name, size in entries if "/page/" in name]
    assert 0 < sum(own) < 200_000
