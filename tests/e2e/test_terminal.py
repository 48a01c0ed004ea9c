"""The commands in a real terminal, whose screens the documentation shows.

With ``COMFYQ_TEST_CAPTURES`` (`make captures`) they are written there, else compared: ids, numbers
and bars may differ, words may not.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_cli import DEADLINE_S, Cli
from tests.paths import ROOT
from tests.processes import Processes, clean_env

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux"),
]

PAGE = ROOT / "docs" / "how-to" / "shell.md"
WRITES = "COMFYQ_TEST_CAPTURES" in os.environ  # noqa: TID251 - a switch of the tests
BLOCK = "<!-- capture: {} -->\n\n```text\n"
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHORT_ID = re.compile("^[0-9a-f]{8}(?= )", re.MULTILINE)  # beside a bar


class Terminal:
    """A terminal of tmux with a shell in it."""

    def __init__(self, home: Path, url: str) -> None:
        programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        env = {"COMFYQ_URL": url, "PATH": programs, "TMUX_TMPDIR": str(home)}
        self._env = clean_env(home, env | {"TERM": "xterm-256color", "LANG": "C.UTF-8"})
        self._home = home
        (home / "shell.rc").write_text("PS1='$ '\n", encoding="utf-8")
        shell = "bash --noprofile --rcfile shell.rc -i"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", shell)

    def close(self) -> None:
        self._tmux("kill-server")

    def type(self, line: str) -> None:
        """Type a line on an empty screen."""
        self.key("C-l")
        self._tmux("send-keys", "-l", line)
        self.key("Enter")

    def key(self, name: str) -> None:
        self._tmux("send-keys", name)

    def until(self, pattern: str) -> str:
        """Return the screen once it matches."""
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(pattern, screen := self._screen()):
            assert time.monotonic() < deadline, f"{pattern} is not on the screen:\n{screen}"
            time.sleep(0.05)  # it shares the cores with what it waits for
        return screen

    def _screen(self) -> str:
        lines = self._tmux("capture-pane", "-p").splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *arguments],
            cwd=self._home,
            env=self._env,
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout


@pytest.fixture
def up(processes: Processes) -> str:
    simulator = processes.simulator(options=["--step-s", "0.15"])
    return processes.up(comfyui=[simulator.url]).url


@pytest.fixture
def terminal(up: str, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, up)
    try:
        opened.until(r"\$$")
        yield opened
    finally:
        opened.close()


def check(name: str, screen: str) -> None:
    """Compare a screen with the one of the documentation, or write it there."""
    screen = screen.removesuffix("\n$")
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BLOCK.format(name))
    assert begin, f"{PAGE} has no capture {name}"
    shown, end, after = rest.partition("\n```\n")
    if WRITES:
        PAGE.write_text(f"{before}{begin}{screen}{end}{after}", encoding="utf-8")
    else:
        assert words_of(screen) == words_of(shown), screen


def words_of(screen: str) -> str:
    """Return a screen without what differs from run to run, and without line breaks."""
    whole = "".join(SHORT_ID.sub("ID", screen).split())
    return re.sub("[0-9.]+", "0", re.sub("[━╸╺]+", "", ID.sub("ID", whole)))


def test_the_documentation_shows_todays_screens(
    terminal: Terminal, up: str, tmp_path: Path
) -> None:
    terminal.type('comfyq submit sdxl "a fox" --steps 20 --seed 7 --wait')
    check("progress", terminal.until(r"running .*KSampler \d+/20, \d/7 nodes, \d+ s left"))
    check("made", terminal.until(r"0\.png\n\$$"))

    cli = Cli(tmp_path, up)
    asked = ("a fox", "--steps", 30)
    first, second = (cli.one("submit", name, *asked)["id"] for name in ("sdxl", "sd15"))
    terminal.type(f"a={first} b={second}")
    terminal.until(rf"{second[-8:]}\n\$$")
    terminal.type("comfyq watch $a $b")
    check("many", terminal.until(r"running .*KSampler .* left\n.*queued"))
    terminal.until(r"completed .*\d\n(.*\n)*\$$")
    terminal.type("comfyq list --limit 3")
    check("list", terminal.until(r"sdxl.*\n.*sdxl.*\n(.*\n)*\$$"))

    terminal.type('comfyq submit sdxl "a fox" --steps 150 --wait')
    terminal.until(r"running .*KSampler .* left")
    terminal.key("C-c")
    check("interrupted", terminal.until(r"fetches its files\n\$$"))

    terminal.type('comfyq submit sdlx "a fox"')
    check("unknown", terminal.until(r"--prompt\n\$$"))
    terminal.type('comfyq submit sdxl "a fox" --steps 9000')
    check("refused", terminal.until(r"most is \d+\n\$$"))
    terminal.type("comfyq --url http://127.0.0.1:9 list; echo $?")
    check("away", terminal.until(r"\n3\n\$$"))
