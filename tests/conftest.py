import ast
import gc
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from math import ceil
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

import tests.effort  # noqa: F401 - registers a profile that the command line may name

pytest_plugins = ["tests.fixtures.emulator", "tests.fixtures.websocket_api", "tests.processes"]

WAITING = Path(__file__).parent / "e2e"
LAST = 8  # times as many files that keep a core busy as follow each that waits
PROPERTIES = "_properties.py"  # thousands of examples
TRACED_CELLS = 3  # of a test, if it has more: what the others run, others run too
IS_TRACED = pytest.StashKey[bool]()


def parse_one_at_a_time() -> None:
    """Let no two threads parse at once, as CPython 3.11 raises SystemError of them now and then.

    pytest parses what failed, also where that was expected, while servers of a test's process may
    log tracebacks, for which Python parses too; an error of pytest's own would end the whole run.
    """
    lock, parse = RLock(), ast.parse

    def locked(*arguments: Any, **options: Any) -> Any:
        with lock:
            collects = gc.isenabled()
            gc.disable()  # what is collected may be warned of, with a traceback
            try:
                return parse(*arguments, **options)
            finally:
                if collects:
                    gc.enable()

    ast.parse = locked


parse_one_at_a_time()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so starts what a shell runs in the background; processes of tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)  # when fixtures have put the tests in their own order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say which tests are traced, and among processes that run tests spread the files that wait."""
    _note_traced(items)
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items[:] = spread(items)


def _note_traced(items: Sequence[pytest.Item]) -> None:
    """Leave out of the coverage property tests, end-to-end tests, whose processes are not traced
    anyway, and all but a few of many cells of a test: what they alone reach counts as not covered.
    """
    cells = Counter(map(_without_cell, items))
    seen: Counter[str] = Counter()
    for item in items:
        test = _without_cell(item)
        is_chosen = seen[test] % ceil(cells[test] / TRACED_CELLS) == 0
        seen[test] += 1
        is_left_out = item.path.name.endswith(PROPERTIES) or WAITING in item.path.parents
        item.stash[IS_TRACED] = is_chosen and not is_left_out


def _without_cell(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Trace no test that is left out of the coverage, nor its fixtures: it takes twice the CPU."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    measured = getattr(plugin, "cov_controller", None)
    if measured is None or item.stash[IS_TRACED] or item.get_closest_marker("no_cover"):
        return (yield)
    measured.pause()
    try:
        return (yield)
    finally:
        measured.resume()


def spread(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Put the files of end-to-end tests, which mostly wait for processes, evenly between those that
    keep a core busy; some of these come last, so that no worker waits for another's end."""
    files = [list(of_file) for _, of_file in groupby(items, key=lambda item: item.path)]
    waiting = [of_file for of_file in files if WAITING in of_file[0].path.parents]
    busy = deque(of_file for of_file in files if WAITING not in of_file[0].path.parents)
    share = len(busy) // (len(waiting) + LAST)
    ordered: list[pytest.Item] = []
    for of_file in waiting:
        ordered += of_file
        for _ in range(share):
            ordered += busy.popleft()
    return ordered + list(chain.from_iterable(busy))


def pytest_collection() -> None:
    """Leave garbage alone while modules and tests are made, which stay to the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Take them out of the collector's rounds: with thousands of tests each full one takes as long
    as hundreds of them."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _own_profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the profiles of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patched.delenv("COMFYQ_PROFILE", raising=False)
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
