"""comfy-api-proxy as a process: Comfy API v2 before one ComfyUI.

It keeps its jobs in memory alone; with ``--state-dir`` in SQLite.
"""

import contextlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comfyq.config import PROJECT
from infra.compat.launches import free_ports
from tests.processes import clean_env

PROGRAM = PROJECT / ".bench" / "bin" / "comfy-api-proxy"
START_S = 60.0
STOP_S = 15.0


class ProxyProcess:
    """Runs the proxy before a ComfyUI, with its files below ``folder``.

    Raises:
        AssertionError: it does not answer; with its log.
    """

    def __init__(self, comfyui_url: str, folder: Path, *, keeps_state: bool = False) -> None:
        assert PROGRAM.exists(), f"{PROGRAM} is missing; `make .bench/.made` installs it"
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        state = ("--state-dir", folder / "state") if keeps_state else ()
        self._command = [PROGRAM, "run", "--comfyui", comfyui_url, "--port", str(port), *state]
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it, again if it was killed: on the same port, with the files that it left."""
        log = self._folder / "log"
        with log.open("a") as written:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=clean_env(self._folder),
            )
        self._wait_until_healthy(log)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait_until_healthy(self, log: Path) -> None:
        deadline = time.monotonic() + START_S
        while True:
            with (
                contextlib.suppress(urllib.error.URLError),
                urllib.request.urlopen(f"{self.url}/api/v2/health", timeout=START_S),
            ):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"no answer from the proxy; its log:\n{log.read_text()}")
            time.sleep(0.05)


@contextmanager
def proxied(comfyui_url: str, *, keeps_state: bool = False) -> Iterator[ProxyProcess]:
    """Run the proxy before a ComfyUI while the body runs."""
    with tempfile.TemporaryDirectory() as folder:
        process = ProxyProcess(comfyui_url, Path(folder), keeps_state=keeps_state)
        try:
            yield process
        finally:
            process.stop()
