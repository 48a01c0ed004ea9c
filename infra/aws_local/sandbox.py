"""One execution environment: a process of a function's real entry point, as Lambda starts it."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from infra.aws_local.runtime_api import FunctionFailed, RuntimeApi

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
INIT_S = 60.0  # Lambda gives 10; two cores here may be shared with anything
STOP_S = 5.0
REGION = "us-east-1"
LOG_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A deployed function."""

    name: str  # its logical id in the template
    arn: str
    command: str  # functions.api.handler.handler
    environment: Mapping[str, str]  # as the deployment gives it
    timeout_s: int
    memory_mb: int


class Sandbox:
    """``surroundings`` is what the machine adds to the function's own environment."""

    def __init__(self, spec: Spec, *, surroundings: Mapping[str, str], log: Path) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._log = log
        self._api = RuntimeApi(arn=spec.arn)
        self._process: asyncio.subprocess.Process | None = None
        self._abandoned = False
        self.init_ms = 0.0  # from the start of the process to its wish for the first event
        self.peak_mb = 0.0  # resident memory

    async def start(self) -> None:
        """Return when it waits for events.

        Raises:
            FunctionFailed: it does not start.
        """
        address = await self._api.start()
        began = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "awslambdaric", self._spec.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self._environment(address),
            )
        await self._or_end(self._api.ready.wait(), timeout_s=INIT_S)
        self.init_ms = (time.perf_counter() - began) * 1000
        if self._api.init_error is not None:
            await self.stop()
            raise FunctionFailed(f"{self._spec.name} does not start: {self._api.init_error}")

    async def invoke(self, payload: bytes) -> bytes:
        """The function's answer.

        Raises:
            FunctionFailed: it raised; after a time-out or its end this sandbox is of no more use.
        """
        timeout_s = self._spec.timeout_s
        answer = self._api.invoke(payload, timeout_s=timeout_s)
        try:
            return await self._or_end(answer, timeout_s=timeout_s)
        except asyncio.CancelledError:
            self._abandon()  # it still works for somebody who has left
            raise
        finally:
            self.peak_mb = max(self.peak_mb, self._resident_mb())
            if self._api.broken:
                await self.stop()

    @property
    def usable(self) -> bool:
        running = self._process is not None and self._process.returncode is None
        return running and not self._abandoned

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # so does Lambda: a function has nothing to finish
            await asyncio.wait_for(self._process.wait(), STOP_S)
        await self._api.stop()

    def _abandon(self) -> None:
        self._abandoned = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _or_end(self, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
        """Return the result of ``work``; raises if the process ends first or it takes too long."""
        assert self._process is not None
        working = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._process.wait())
        try:
            done, _ = await asyncio.wait(
                (working, ending), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if working in done:
                return working.result()
        finally:
            working.cancel()
            ending.cancel()
        what = f"ended with {self._process.returncode}" if done else f"took more than {timeout_s} s"
        await self.stop()
        raise FunctionFailed(f"{self._spec.name} {what}; its log:\n{self._told()}")

    def _environment(self, address: str) -> Mapping[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
        return {
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "TZ": ":UTC",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": self._spec.arn.rpartition(":")[2],
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._spec.memory_mb),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._spec.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self._log.stem,
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_HANDLER": self._spec.command,
            **self._surroundings,
            **self._spec.environment,
        }

    def _resident_mb(self) -> float:
        """The most that the process has had so far; Linux tells."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return 0.0
        lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) / 1024 if lines else 0.0

    def _told(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_CHARS:]
