"""The page goes on behind its server's death, without being loaded again."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.page.visit import WAIT_MS, Visit
from tests.processes import Processes

pytestmark = [pytest.mark.browser, pytest.mark.verify]


def test_a_job_goes_on_and_another_is_sent_meanwhile(
    browser: Browser, processes: Processes, tmp_path: Path
) -> None:
    simulator = processes.simulator(options=["--step-s", "0.1"])
    first = processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data")
    visit = Visit(browser, first.url)
    page = visit.page
    try:
        visit.open()
        visit.choose("sd15")
        page.evaluate("window.isTheSame = true")
        visit.fill({"prompt": "a lighthouse", "width": 128, "height": 128, "steps": 60})
        visit.generate()
        expect(page.locator(".stage-line")).to_contain_text("Running", timeout=WAIT_MS)
        first.kill()
        expect(page.get_by_text("The server does not answer. Trying again")).to_be_visible(
            timeout=WAIT_MS
        )
        visit.fill({"prompt": "a pier", "steps": 5})
        visit.generate()
        expect(page.get_by_role("button", name="Sending")).to_be_visible()
        visit.see("away")

        port = urlsplit(first.url).port or 0
        processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data", port=port)
        expect(page.locator(".lost.shown")).to_have_count(0, timeout=WAIT_MS)
        visit.until_made()
        page.get_by_role("link", name="History", exact=True).click()
        expect(page.locator(".card img[src*='/outputs/']")).to_have_count(2, timeout=WAIT_MS)
        assert page.evaluate("window.isTheSame") is True, "it was loaded again"
        assert visit.own_errors() == []
    finally:
        visit.close()
