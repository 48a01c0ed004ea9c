"""A browser for each module: its event loop must not run under other modules' tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.page.visit import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
