"""Values that are hostile, huge or many: the page shows them as they are, and sends no others."""

import re

import pytest
import urllib3
from playwright.sync_api import expect

from tests.e2e.page.visit import WAIT_MS, Visit
from tests.processes import Process

pytestmark = pytest.mark.browser

HIGHEST_SEED = 2**64 - 1
MARKUP = '"><img src=x onerror="window.isHarmed=1"><script>window.isHarmed=1</script>${7*7}'
LONG = "Donaudampfschifffahrt" * 40


def test_markup_is_text_and_seeds_are_exact(visit: Visit, up: Process) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page
    visit.open("create/sd15")
    given = {"prompt": MARKUP + LONG, "width": 64, "height": 64, "steps": 1, "seed": HIGHEST_SEED}
    visit.fill(given)
    with page.expect_response("**/workflows/sd15/generate") as answer:
        visit.generate()
    made = answer.value.json()["id"]
    visit.until_made()
    story = urllib3.request("GET", f"{up.url}/generate/{made}/story").json()
    assert story["parameters"]["seed"] == HIGHEST_SEED
    assert story["parameters"]["prompt"] == MARKUP + LONG

    visit.open(f"job/{made}")
    facts = page.locator(".facts").first
    expect(facts).to_contain_text(MARKUP, timeout=WAIT_MS)
    expect(facts).to_contain_text(str(HIGHEST_SEED))
    visit.see("odd-job")
    for way in ("curl", "Python"):
        page.get_by_role("button", name=f"Copy as {way}").click()
        expect(page.get_by_text(f"Copied as {way}.")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert re.search(rf'"seed": ?{HIGHEST_SEED}[,}}]', copied), copied
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("[name='seed']")).to_have_value(str(HIGHEST_SEED), timeout=WAIT_MS)
    page.reload()  # what was put in is kept
    expect(page.locator("[name='seed']")).to_have_value(str(HIGHEST_SEED), timeout=WAIT_MS)
    assert page.evaluate("window.isHarmed === undefined")


def test_back_leads_into_the_page_from_an_address_that_was_sent(visit: Visit, up: Process) -> None:
    [job, *_] = urllib3.request("GET", f"{up.url}/generate?limit=1").json()["jobs"]
    visit.open(f"job/{job['id']}")
    visit.page.get_by_role("button", name="Back").click()
    expect(visit.page.get_by_role("heading", name="History")).to_be_visible(timeout=WAIT_MS)
    visit.page.locator(".card a").first.click()
    visit.page.get_by_role("button", name="Back").click()
    expect(visit.page.get_by_role("heading", name="History")).to_be_visible(timeout=WAIT_MS)


def test_a_batch_is_as_large_as_it_may_be_and_keeps_its_rows_apart(visit: Visit) -> None:
    page = visit.page
    visit.open("create/sd15")
    visit.fill({"prompt": "a gate", "width": 64, "height": 64, "steps": 1})
    page.get_by_text("Several at once").click()
    page.get_by_label("Seeds").fill("100")
    page.get_by_label("Vary").select_option("steps")
    values = page.get_by_label(re.compile("Values, one a line"))
    values.fill("1, 2, 3, 4, 5, 6")
    expect(page.get_by_role("alert")).to_contain_text("500 jobs at most; these are 600")
    expect(page.get_by_role("button", name="Generate 600")).to_be_disabled()

    page.get_by_label("Seeds").fill("1")
    values.fill("1, 900")
    page.get_by_role("button", name="Generate 2").click()
    expect(values).to_be_focused()
    expect(values).to_have_accessible_description("is 900; the most is 150")
    page.get_by_label("Vary").select_option("prompt")
    expect(page.locator(".form-end .trouble")).to_have_count(0)
    common = "a gate of old oak with iron bands at the end of a long and narrow alley,"
    values.fill(f"{common} at dawn\n{common} at\tdusk \N{FOX FACE}\na gate")
    page.get_by_role("button", name="Generate 3").click()
    expect(page.get_by_role("heading", name="Batch of 3")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".row-name")).to_have_count(3, timeout=WAIT_MS)
    expect(page.get_by_text("3 completed")).to_be_visible(timeout=WAIT_MS)


def test_an_address_with_no_id_asks_nothing_odd_of_the_api(visit: Visit) -> None:
    page = visit.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    nowhere = page.get_by_role("heading", name="There is no such page")
    for there in (
        "job/../../keys",
        "job/..%2F..%2Fkeys",
        "job",
        "batch/%3Fa",
        "compare/a",
        "create/..",
    ):
        visit.open("queue")
        expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible(timeout=WAIT_MS)
        visit.open(there)
        expect(nowhere).to_be_visible(timeout=WAIT_MS)
    odd = [url for url in asked if url.endswith(("/keys", "/generate/", "/workflows/"))]
    assert odd == []
