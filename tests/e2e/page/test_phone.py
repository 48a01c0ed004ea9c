"""The same page at the width of a phone."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.page.visit import WAIT_MS, Visit

pytestmark = pytest.mark.browser

BUSY = {
    "code": "table-unavailable",
    "detail": "The table cannot be reached now: it refused a hundred requests in a row, or more.",
}
IS_STILL = "() => scrollY === (window.last ?? -1) || ((window.last = scrollY), false)"


@pytest.fixture
def is_phone() -> bool:
    return True


@pytest.fixture
def lets_requests_fail() -> bool:
    return True


def test_a_picture_on_a_phone(visit: Visit) -> None:
    visit.open()
    visit.choose("sd15")
    visit.see("phone-form")
    visit.fill({"prompt": "a boat", "width": 128, "height": 128, "steps": 5})
    visit.generate()
    visit.until_made()
    expect(visit.stage).to_be_in_viewport(timeout=WAIT_MS)
    page = visit.page
    page.wait_for_function(IS_STILL, polling=200)
    visit.see("phone-made")
    for place in ("Queue", "History", "System", "Keys"):
        page.get_by_role("link", name=place, exact=True).tap()
        expect(page.get_by_role("heading", name=place, exact=True)).to_be_visible(timeout=WAIT_MS)
        expect(page.locator(".loading")).to_have_count(0, timeout=WAIT_MS)
        visit.see(f"phone-{place.lower()}")
    page.get_by_role("link", name="History", exact=True).tap()
    page.locator(".card a").first.tap()
    expect(page.locator(".facts").first).to_contain_text("a boat", timeout=WAIT_MS)
    visit.see("phone-job")
    assert visit.errors == []

    page.get_by_role("link", name="Queue", exact=True).tap()
    page.route("**/generate?*", lambda route: route.abort())
    lost = page.locator(".lost.shown")
    expect(lost).to_be_visible(timeout=WAIT_MS)
    visit.see("phone-away")
    assert_below(page, "Queue", lost)

    page.unroute("**/generate?*")
    page.route("**/generate?limit=50*", lambda route: route.fulfill(status=503, json=BUSY))
    visit.open("history?status=failed")
    expect(lost).to_contain_text(BUSY["detail"], timeout=WAIT_MS)
    assert_below(page, "History", lost)
    visit.see("phone-busy")


def assert_below(page: Page, heading: str, bar: Locator) -> None:
    """Assert that a bar covers no heading."""
    place = page.get_by_role("heading", name=heading, exact=True).bounding_box()
    above = bar.bounding_box()
    assert place
    assert above
    assert above["y"] + above["height"] <= place["y"]
