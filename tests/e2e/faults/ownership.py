"""Systems that one test has to itself, because it breaks more of them than a worker."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from comfyq.local.emulator import Emulator
from tests.e2e.faults.lab import FAST, Lab
from tests.faulty_process import FAULTS
from tests.fixtures.emulator import ENVIRONMENT
from tests.fixtures.faulty_proxy import FaultyProxy
from tests.processes import Process, Processes


class Owned:
    """An ``up`` without workers that can die and come back over the same data.

    On the emulator, ``proxy`` stands between everything of ours and AWS's look-alike, which
    outlives ``up``.
    """

    def __init__(
        self, folder: Path, *, backend: str, workflows: Path, proxy: FaultyProxy | None
    ) -> None:
        self.backend = backend
        self.data_dir = folder / "data"
        self._proxy = proxy
        self._folder = folder
        self._workflows = workflows
        self._processes = Processes(folder)

    @property
    def proxy(self) -> FaultyProxy:
        assert self._proxy is not None, "only the emulator has one"
        return self._proxy

    @property
    def env(self) -> Mapping[str, str]:
        env = {**FAST, "COMFYQ_WORKFLOWS_DIR": str(self._workflows)}
        return env if self._proxy is None else {**env, "AWS_ENDPOINT_URL": self._proxy.url}

    def up(
        self,
        *,
        port: int = 0,
        faults: Sequence[Mapping[str, Any]] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        own = {**self.env, **(env or {})}
        if faults:
            own[FAULTS] = json.dumps(list(faults))
        return self._processes.up(
            workers=0, port=port, backend=self.backend, data_dir=self.data_dir, env=own
        )

    def lab(self, up: Process) -> Lab:
        """Make a lab beside ``up``; the test closes it."""
        self._folder.joinpath("lab").mkdir(exist_ok=True)
        return Lab(self._folder / "lab", up=up, backend=self.backend)

    def close(self) -> None:
        self._processes.close()


@contextmanager
def owned(folder: Path, *, backend: str, workflows: Path, seed: int = 0) -> Iterator[Owned]:
    with ExitStack() as stack:
        proxy = None
        if backend == "emulator":
            emulator = stack.enter_context(Emulator(environment=ENVIRONMENT))
            proxy = stack.enter_context(FaultyProxy(emulator.url, seed=seed).running())
        system = Owned(folder, backend=backend, workflows=workflows, proxy=proxy)
        stack.callback(system.close)
        yield system
