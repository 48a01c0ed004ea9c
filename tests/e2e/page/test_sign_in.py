"""A server that asks for keys: signing in, keys of others, and what a key may not."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from comfyq.domain.caller import Scope
from tests.e2e.page.visit import DESKTOP, PHONE, WAIT_MS, Visit
from tests.e2e.test_keys import Commands
from tests.processes import Process, Processes

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("keyed"))


@pytest.fixture(scope="module")
def key(home: Commands) -> str:
    scopes = ("submit", "read", "cancel", "admin", "operator")
    return home.key(*(part for each in scopes for part in ("--scope", each)))


@pytest.fixture(scope="module")
def up(home: Commands, key: str) -> Iterator[Process]:
    started = Processes(home.home)
    try:
        yield started.up(data_dir=home.data_dir, options=("--auth", "keys"))
    finally:
        started.close()


def sign_in(visit: Visit, key: str) -> None:
    visit.page.get_by_label("API key or token").fill(key)
    visit.page.get_by_role("button", name="Sign in").click()


def test_the_form_of_keys_has_what_its_administrator_may_give(
    browser: Browser, up: Process, home: Commands
) -> None:
    visit = Visit(browser, up.url)
    try:
        visit.open("keys")
        sign_in(visit, home.key("--scope", "admin", "--scope", "read"))
        form = visit.page.locator(".key-form")
        boxes = form.get_by_role("checkbox")
        expect(boxes).to_have_count(4, timeout=WAIT_MS)
        ticked = {box.get_attribute("value"): box.is_checked() for box in boxes.all()}
        assert ticked == {"submit": True, "read": True, "cancel": True, "admin": False}
        form.get_by_label("Name", exact=True).fill("colleague")
        form.get_by_role("button", name="Make a key").click()
        expect(visit.page.get_by_role("dialog")).to_contain_text("colleague", timeout=WAIT_MS)
        assert visit.errors == []
    finally:
        visit.close()


def test_keys_let_in_and_are_made_and_revoked(browser: Browser, up: Process, key: str) -> None:
    visit = Visit(browser, up.url)
    page = visit.page
    try:
        visit.open()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        assert visit.errors == [], "it asked without a key"
        sign_in(visit, "cq_0000000000000000_" + "0" * 64)
        expect(page.locator("#key-wrong")).not_to_be_empty(timeout=WAIT_MS)
        visit.see("sign-in")
        sign_in(visit, key)
        visit.choose("sd15")
        visit.fill({"prompt": "a garden", "width": 128, "height": 128, "steps": 5})
        visit.generate()
        visit.until_made()

        page.get_by_role("link", name="Keys", exact=True).click()
        page.get_by_label("Name", exact=True).fill("reader")
        for each in Scope:  # all that the server knows, since an operator may give them
            expect(page.get_by_role("checkbox", name=each, exact=True)).to_be_visible()
        for scope in ("submit", "graph", "wait", "cancel"):
            page.get_by_role("checkbox", name=scope).uncheck()
        # pressed twice, as impatient people do
        page.locator(".key-form").evaluate("(form) => (form.requestSubmit(), form.requestSubmit())")
        made = page.get_by_role("dialog").locator("code").inner_text()
        assert made.startswith("cq_")
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("row", name="reader")).to_have_count(1)
        expect(page.get_by_role("row", name="reader")).to_contain_text("read")
        visit.see("keys")
        page.set_viewport_size(PHONE)
        box = page.get_by_role("button", name="Revoke reader").bounding_box()
        assert box
        assert box["width"] > box["height"], "its word is cut into pieces"
        fits = "(table) => table.scrollWidth <= table.clientWidth"
        assert page.locator(".scrolled").evaluate(fits), "a part of it stands beyond the edge"
        visit.see("phone-own-keys")
        page.set_viewport_size(DESKTOP)

        reader = Visit(browser, up.url)
        try:
            reader.open()
            sign_in(reader, made)
            expect(reader.page.get_by_text("It has no scope submit")).to_be_visible(timeout=WAIT_MS)
            reader.see("makes-nothing")
            expect(reader.page.locator("form")).to_have_count(0)
            expect(reader.page.get_by_role("link", name="Keys", exact=True)).to_have_count(0)
            expect(reader.stage.locator("img")).to_be_visible(timeout=WAIT_MS)
            for action in ("Again, new seed", "Cancel", "Try again", "Edit"):  # which it may not
                expect(reader.page.get_by_role("button", name=action)).to_have_count(0)
            reader.page.reload()  # the key is kept
            expect(reader.stage.locator("img")).to_be_visible(timeout=WAIT_MS)

            own = page.get_by_role("row", name="(yours)")
            own.get_by_role("button", name="Revoke").click()
            expect(page.get_by_role("dialog")).to_contain_text("You are signed in with this key")
            visit.see("own-key")
            page.get_by_role("button", name="Close").click()
            page.get_by_role("button", name="Revoke reader").click()
            expect(page.get_by_role("dialog")).not_to_contain_text("signed in")
            page.get_by_role("button", name="Revoke it").click()
            expect(page.get_by_role("row", name="reader")).to_have_count(0, timeout=WAIT_MS)
            expect(reader.page.get_by_role("heading", name="Sign in")).to_be_visible(
                timeout=WAIT_MS
            )
            reader.page.evaluate("window.first = true")
            sign_in(reader, key)  # another holder: the tab begins anew
            reader.page.wait_for_function("!window.first", timeout=WAIT_MS)
            reader.choose("sd15")
        finally:
            reader.close()

        assert visit.own_errors() == []
        visit.errors.clear()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        assert page.evaluate("sessionStorage.length") == 0
        assert visit.errors == []
    finally:
        visit.close()
