"""A visit to the web page in a real browser."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).parents[3]
AXE = ROOT / ".page" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "out" / "page"
DOCUMENTED = os.environ.get("COMFYQ_TEST_PICTURES")  # noqa: TID251 - where docs have theirs
IN_DOCS = ("running", "batch", "compare", "dark-create", "phone-made")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WAIT_MS = 60_000  # two cores may be shared with other tests
QUALITY = 80  # of pictures in the documentation
MADE = "img[src*='/outputs/']"
SERIOUS = {"serious", "critical"}
NETWORK = re.compile(r"Failed to load resource|WebSocket connection to|net::ERR_")
DESKTOP: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}

SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts += each.value;
}).observe({type: "layout-shift", buffered: true});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: infra/browser.sh installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One person's tab. ``errors`` are what the browser's console has of them."""

    def __init__(
        self, browser: Browser, url: str, *, is_phone: bool = False, **options: Any
    ) -> None:
        size = PHONE if is_phone else DESKTOP
        touch = {"has_touch": True, "is_mobile": True} if is_phone else {}
        self.url = url
        self.context = browser.new_context(viewport=size, **touch, **options)  # type: ignore[arg-type]
        self.context.set_default_timeout(WAIT_MS)
        self.context.add_init_script(SHIFTS)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self._before = ""  # the picture that was shown when the form was sent
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, view: str = "") -> None:
        self.page.goto(f"{self.url}/{f'#/{view}' if view else ''}")

    def choose(self, workflow: str) -> None:
        """Choose a workflow by its name, and wait for its form."""
        self.page.get_by_label("Workflow", exact=True).select_option(workflow)
        expect(self.page.get_by_role("button", name="Generate")).to_be_enabled(timeout=WAIT_MS)

    def fill(self, values: Mapping[str, object]) -> None:
        """Put values into fields of the form by their parameters' names."""
        expect(self.page.locator("form.form")).to_be_visible(timeout=WAIT_MS)
        for name, value in values.items():
            field = self.page.locator(f"form.form [name='{name}']")
            if not field.is_visible():
                folded = self.page.locator("details", has=self.page.locator(f"[name='{name}']"))
                folded.locator("summary").first.click()
            field.fill(str(value))

    def generate(self) -> None:
        """Send the form; what is shown before does not count as made by it."""
        expect(self.stage.locator(".loading")).to_have_count(0, timeout=WAIT_MS)
        shown = self.stage.locator(MADE)
        self._before = (shown.get_attribute("src") or "") if shown.count() else ""
        self.page.get_by_role("button", name=re.compile("^Generate")).click()

    @property
    def stage(self) -> Locator:
        return self.page.locator(".results .stage")

    def until_made(self, *, not_src: str = "") -> str:
        """Wait for the newest job's picture on the first page; its address."""
        picture = self.stage.locator(f"{MADE}:not([src='{not_src or self._before}'])")
        expect(picture).to_be_visible(timeout=WAIT_MS)
        return picture.get_attribute("src") or ""

    def see(self, name: str, *, whole: bool = False) -> None:
        """Take a picture of what is shown, and let axe look for what keeps people out."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        taken = PICTURES / f"{name}.png"
        self.page.screenshot(path=taken, full_page=whole, animations="disabled")
        if DOCUMENTED and name in IN_DOCS:
            with Image.open(taken) as picture:
                picture.save(Path(DOCUMENTED) / f"{name}.webp", quality=QUALITY)
        assert not faults(self.page), name
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name}: {wide} px stand out of the window"

    @property
    def shifts(self) -> float:
        """How much of the window has moved by itself since it was opened."""
        moved: float = self.page.evaluate("window.shifts")
        return moved

    def own_errors(self) -> list[str]:
        """The errors that are not of requests that the test let fail."""
        return [each for each in self.errors if not NETWORK.search(each)]

    def close(self) -> None:
        self.context.close()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} {message.location}")


def faults(page: Page) -> list[str]:
    """What axe finds that is serious or worse."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: make page")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in SERIOUS]
    return [
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in serious
        for node in each["nodes"]
    ]
