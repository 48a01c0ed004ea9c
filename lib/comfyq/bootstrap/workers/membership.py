"""Admission of workers to a store, which is for real ComfyUIs or for simulated ones."""

import asyncio

from comfyq.aio.logs import log
from comfyq.bootstrap.services import Services
from comfyq.domain.errors import Unavailable
from comfyq.domain.job import WorkerId
from comfyq.domain.store_kind import JoinRefusal, StoreKind
from comfyq.ports.engine import Engine, EngineError, EngineInfo
from comfyq.services.worker.membership import Membership, NotAdmitted

__all__ = ["NotAdmitted", "admit", "membership_of", "simulator_refused"]

NOBODY = WorkerId("-")
FIRST_LOOK_S = 2.0  # maximum wait for ComfyUI's first answer at the start


async def admit(membership: Membership, engine: Engine, *, url: str) -> None:
    """Join the store, or raise NotAdmitted; a ComfyUI that does not answer joins later."""
    info: EngineInfo | None = None
    try:
        async with asyncio.timeout(FIRST_LOOK_S):
            info = await engine.info()
            await membership.join(info)
    except NotAdmitted as refused:
        if not refused.may_pass:
            raise
    except TimeoutError:
        _warn(url if info is None else None, f"no answer within {FIRST_LOOK_S:.0f} s")
    except EngineError as away:
        _warn(url, str(away))
    except Unavailable as away:
        _warn(None, str(away))


def _warn(comfyui: str | None, reason: str) -> None:
    """Say in the log what does not answer; None: the store of jobs."""
    if comfyui is not None:
        jobs = "wait until it answers; --comfyui names another"
        log.warning("comfyui_away", comfyui=comfyui, reason=reason, jobs=jobs)
    else:
        jobs = "are not claimed until it answers; `comfyq doctor` looks at what the settings name"
        log.warning("table_away", reason=reason, jobs=jobs)


def membership_of(services: Services, worker: WorkerId) -> Membership:
    return Membership(worker, kinds=services.store_kinds, workers=services.workers)


async def simulator_refused(services: Services) -> JoinRefusal | None:
    """Return why a simulator would get no jobs; None if it would, or the table does not answer."""
    try:
        return await membership_of(services, NOBODY).refusal(StoreKind.SIMULATED)
    except Unavailable:
        return None  # the worker asks again
