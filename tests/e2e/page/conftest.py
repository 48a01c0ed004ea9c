"""A browser and a server for each module, and a tab for each test.

The browser is a module's own: its event loop must not run under other modules' tests.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.page.visit import Visit, chromium
from tests.processes import Process, Processes


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that lets everyone in; modules that need another one have their own."""
    started = Processes(tmp_path_factory.mktemp("page"))
    try:
        yield started.up()
    finally:
        started.close()


@pytest.fixture
def is_phone() -> bool:
    return False


@pytest.fixture
def lets_requests_fail() -> bool:
    """Whether tests of the module let requests fail, of which the console has errors."""
    return False


@pytest.fixture
def visit(
    browser: Browser, up: Process, is_phone: bool, lets_requests_fail: bool
) -> Iterator[Visit]:
    """A tab; its console has no errors in the end."""
    visit = Visit(browser, up.url, is_phone=is_phone)
    try:
        yield visit
        assert (visit.own_errors() if lets_requests_fail else visit.errors) == []
    finally:
        visit.close()
