"""AWS look-alikes in a process: services of ministack, for development and tests.

It keeps what it has in memory and loses it when it is killed, so it is no place for real jobs.
"""

import contextlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
STORAGE = ("dynamodb", "sqs", "s3")
TRIES = 3  # somebody else may take the free port before the emulator does

# It ends with whoever started it, however that one ends: then its standard input closes.
PROGRAM = """
import os, signal, sys, threading

def follow_parent():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=follow_parent, daemon=True).start()
from ministack.app import main
main()
"""


class EmulatorError(Exception):
    """It is not installed or does not start; the message says what to do."""


class Emulator:
    """ministack from its own environment, on a free port of 127.0.0.1.

    ``start`` and ``stop`` block for about a second. Without ``data_dir`` everything is forgotten at
    the end; with it, what is there at an orderly stop is there again after the next start, on the
    same port if that is still free: ministack knows its queues by their URLs.
    """

    def __init__(
        self,
        *,
        environment: Path,
        data_dir: Path | None = None,
        services: Sequence[str] = STORAGE,
    ) -> None:
        self._python = environment.absolute() / "bin" / "python"
        self._data_dir = data_dir.absolute() if data_dir else None
        self._services = services  # as ministack calls them
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The endpoint of all its services."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Return when it answers.

        Raises:
            EmulatorError: it is not installed, or ends instead of answering.
        """
        if not self._python.exists():
            raise EmulatorError(
                f"{self._python.parent.parent} is missing: run `make emulator` in a checkout of "
                "comfyq, or name a look-alike of AWS that runs, by AWS_ENDPOINT_URL"
            )
        self._scratch = tempfile.TemporaryDirectory(prefix="comfyq-emulator-")
        for _ in range(TRIES):
            self._port = self._chosen_port()
            self._process = self._launched()
            if self._answers():
                return self
            self._end()
        log = self._log.read_text(errors="replace")[-2000:]
        self.stop()
        raise EmulatorError(f"the emulator does not start:\n{log}")

    def stop(self) -> None:
        self._end()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _folder(self) -> Path:
        assert self._scratch is not None
        return Path(self._scratch.name)

    @property
    def _log(self) -> Path:
        return self._folder / "emulator.log"

    def _chosen_port(self) -> int:
        if self._data_dir is None:
            return _free_port()
        note = self._data_dir / "port"
        with contextlib.suppress(OSError, ValueError):
            if _is_free(port := int(note.read_text())):
                return port
        port = _free_port()
        self._data_dir.mkdir(parents=True, exist_ok=True)
        note.write_text(str(port))
        return port

    def _launched(self) -> subprocess.Popen[bytes]:
        state = self._data_dir or self._folder
        state.mkdir(parents=True, exist_ok=True)
        keeps = "1" if self._data_dir else "0"
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [self._python, "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={
                    "BIND_HOST": "127.0.0.1",  # it would serve every interface
                    "MINISTACK_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(self._port),
                    "SERVICES": ",".join(self._services),
                    "LOG_LEVEL": "WARNING",
                    "TMPDIR": str(self._folder),
                    "PERSIST_STATE": keeps,
                    "S3_PERSIST": keeps,
                    "STATE_DIR": str(state / "state"),
                    "S3_DATA_DIR": str(state / "s3"),
                },
            )

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1).close()  # noqa: S310
                return True
            time.sleep(POLL_S)
        return False

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._data_dir is None:
            process.kill()  # an orderly stop waits for requests that nobody waits for
        else:
            process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
