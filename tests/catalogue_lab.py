"""Catalogues for tests: what the simulator can run, and workers that have published it."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.job import JobId, WorkerId
from comfyq.records.catalogues import CatalogueRecords
from comfyq.records.workers import KEPT_S, WorkerState
from comfyq.services.workflows.node_catalogues import CataloguePublisher
from comfyui_simulator.catalogue import load_catalogue
from tests.api_lab import ApiLab

INFO: Mapping[str, Any] = load_catalogue().object_info({"image": [], "audio": []})
CATALOGUE: NodeCatalogue = read_catalogue(INFO)


def info_with(class_type: str, name: str, names: list[str]) -> dict[str, Any]:
    """The same, but one input has other names to choose from."""
    info: dict[str, Any] = copy.deepcopy(dict(INFO))
    spec = info[class_type]["input"]["required"][name]
    if isinstance(spec[0], list):
        spec[0] = names
    else:
        spec[1]["options"] = names
    return info


class FixedSource:
    """A ComfyUI that tells what a test says."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.info = info

    async def object_info(self) -> Mapping[str, Any]:
        return self.info


def publisher(
    lab: ApiLab, folder: Path, *, source: FixedSource | None = None, fetches: bool = False
) -> CataloguePublisher:
    return CataloguePublisher(
        source=source or FixedSource(INFO),
        records=CatalogueRecords(lab.table),
        assets=lab.assets,
        spool=FileSpool(folder=folder),
        clock=lab.clock,
        fetches=fetches,
    )


async def join(
    lab: ApiLab,
    folder: Path,
    info: Mapping[str, Any] = INFO,
    *,
    worker: str = "w1",
    fetches: bool = False,
) -> str:
    """A live worker whose ComfyUI tells ``info``; the id of its catalogue."""
    source = FixedSource(info)
    catalogue = await publisher(lab, folder, source=source, fetches=fetches).publish()
    await beat(lab, worker, catalogue, fetches=fetches)
    lab.clock.advance(6)  # whoever looked before looks again
    return catalogue


async def beat(
    lab: ApiLab,
    worker: str,
    catalogue: str | None = None,
    *,
    jobs: Sequence[str] = (),
    engine_ok: bool = True,
    draining: bool = False,
    foreign_prompts: int = 0,
    fetches: bool = False,
) -> None:
    now = lab.clock.now()
    state = WorkerState(
        id=WorkerId(worker),
        pid=1,
        host="h",
        version="1",
        engine_ok=engine_ok,
        catalogue=catalogue,
        draining=draining,
        fetches=fetches,
        foreign_prompts=foreign_prompts,
        jobs=tuple(JobId(job) for job in jobs),
        seen_at=now,
        started_at=now,
    )
    await lab.workers.beat(state, ttl_s=KEPT_S)
