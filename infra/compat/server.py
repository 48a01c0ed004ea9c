import os
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.compat.launches import free_ports
from infra.compat.lookalike import Launch, LookAlike, NotHere
from infra.compat.probes import wait_for

STOP_TIMEOUT_S = 15.0


def is_isolated() -> bool:
    """Return whether nobody but this machine can reach what listens on every interface."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


class Server:
    """A look-alike on a free port of 127.0.0.1, with a folder of its own.

    Raises:
        NotHere: it does not start; the message ends with its last words.
    """

    def __init__(self, kind: LookAlike) -> None:
        if kind.listens_everywhere and not is_isolated():
            raise NotHere("it listens on every interface: run this through infra/namespace.sh")
        self._kind = kind
        self._scratch = tempfile.TemporaryDirectory(prefix="comfyq-compat-")
        self._folder = Path(self._scratch.name)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._launch = self._launched(port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Return when all its services do their work."""
        log = self._folder / "log"
        environment = {"HOME": str(self._folder), "TMPDIR": str(self._folder)}
        with log.open("wb") as words:
            self._process = subprocess.Popen(
                self._launch.command,
                cwd=self._folder,
                env={
                    "PATH": os.getenv("PATH", os.defpath),
                    **environment,
                    **self._launch.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
            )
        try:
            for service in self._kind.services:
                wait_for(service, self.url, is_alive=lambda: self._poll() is None)
        except NotHere as away:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise NotHere(f"{away}; {' '.join(last)}") from away
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._end()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _launched(self, port: int) -> Launch:
        data = self._folder / "data"
        data.mkdir()
        return self._kind.launch(data, port)

    def _poll(self) -> int | None:
        return 0 if self._process is None else self._process.poll()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        for path in self._launch.leftovers:
            path.unlink(missing_ok=True)
        self._scratch.cleanup()
