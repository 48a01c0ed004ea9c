"""The last state of each worker; it is kept for a day, to tell since when there is no worker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.domain.job import JobId, WorkerId
from comfyq.domain.models.lock import LockedModel
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor, Item, Put, Table
from comfyq.records.times import from_ms, to_ms

PARTITION = "WORKER"
PAGE = 100
KEPT_S = 24 * 3600  # after its last heartbeat, to tell since when there is no worker
DIGEST_CHARS = 16  # of a model's SHA-256: as many tell models apart, and are a quarter of the bytes
MOST_MODELS = 512  # that a worker tells: 8 KB of its item, which is written every few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """The state that a worker publishes with every heartbeat."""

    id: WorkerId
    pid: int
    host: str
    version: str  # ours
    engine_ok: bool  # its ComfyUI answers
    engine_reason: str | None = None  # why not, readable
    engine_version: str | None = None  # None until it has answered once
    devices: tuple[str, ...] = ()
    simulated: bool = False
    environment: str | None = None  # digest of ComfyUI's version, custom nodes and packages
    catalogue: str | None = None  # id of its node catalogue; None until it is published
    draining: bool = False  # it takes no further jobs
    paused: str | None = None  # why it takes none just now, though its ComfyUI answers
    fetches: bool = False  # models that a job's lock names and that it lacks
    models: frozenset[str] = frozenset()  # that it holds: how their hashes begin, see ``short``
    models_room: int | None = None  # bytes of models that it may still fetch; None: it fetches none
    foreign_prompts: int = 0  # of others, that its ComfyUI runs before a job that it holds
    jobs: tuple[JobId, ...] = ()  # that it holds
    family: str | None = None  # of the job that it took last: ComfyUI has loaded its models
    seen_at: datetime
    started_at: datetime
    ended: bool = False  # known to be dead; its next heartbeat says otherwise

    @property
    def takes_jobs(self) -> bool:
        return self.engine_ok and not self.draining and self.paused is None

    def holds(self, models: Iterable[LockedModel]) -> bool:
        """Return whether it has told that all of these models are on its machine."""
        return all(short(each.sha256) in self.models for each in models)


class WorkerRecords:
    """Store and read the states of workers; one without a heartbeat for ``live_s`` is not live."""

    def __init__(self, table: Table, *, clock: Clock, live_s: float) -> None:
        self._table = table
        self._clock = clock
        self._live_for = timedelta(seconds=live_s)

    async def beat(self, worker: WorkerState, *, ttl_s: int) -> None:
        """Store a worker's state; it is forgotten ``ttl_s`` after ``seen_at``."""
        await self._table.write(Put(_item(worker, ttl_s=ttl_s)), synced=False)

    async def live(self) -> Sequence[WorkerState]:
        """Return every live worker, by id."""
        return self.alive(await self.known())

    def alive(self, workers: Sequence[WorkerState]) -> Sequence[WorkerState]:
        """Return those of ``workers`` that are live now."""
        now = self._clock.now()
        return [each for each in workers if not each.ended and now - each.seen_at < self._live_for]

    async def known(self) -> Sequence[WorkerState]:
        """Return every worker whose state is still stored, by id; it may have ended."""
        items: list[Item] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query("main", PARTITION, limit=PAGE, after=after)
            items += page.items
            after = page.cursor
            if after is None:
                break
        return [_worker(item) for item in items]

    async def end(self, worker_id: WorkerId) -> None:
        """Note that a worker is dead, so that it is not live; a missing one is no error."""
        item = await self._table.get((PARTITION, worker_id))
        if item is not None:
            await self._table.write(Put({**item, "ended": True}))


def _item(worker: WorkerState, *, ttl_s: int) -> Item:
    item = {
        "pk": PARTITION,
        "sk": worker.id,
        "pid": worker.pid,
        "host": worker.host,
        "release": worker.version,
        "engine_ok": worker.engine_ok,
        "engine_reason": worker.engine_reason,
        "engine_version": worker.engine_version,
        "devices": list(worker.devices),
        "simulated": worker.simulated,
        "environment": worker.environment,
        "catalogue": worker.catalogue,
        "draining": worker.draining,
        "paused": worker.paused,
        "fetches": worker.fetches or None,
        "models": "".join(sorted(worker.models)[:MOST_MODELS]) or None,
        "room": worker.models_room,
        "foreign": worker.foreign_prompts or None,
        "jobs": list(worker.jobs),
        "family": worker.family,
        "seen": to_ms(worker.seen_at),
        "started": to_ms(worker.started_at),
        "ttl": to_ms(worker.seen_at) // 1000 + ttl_s,
    }
    return {name: value for name, value in item.items() if value is not None}


def _worker(item: Item) -> WorkerState:
    return WorkerState(
        id=WorkerId(item["sk"]),
        pid=item["pid"],
        host=item["host"],
        version=item["release"],
        engine_ok=item["engine_ok"],
        engine_reason=item.get("engine_reason"),
        engine_version=item.get("engine_version"),
        devices=tuple(item["devices"]),
        simulated=item["simulated"],
        environment=item.get("environment"),
        catalogue=item.get("catalogue"),
        draining=item["draining"],
        paused=item.get("paused"),
        fetches=item.get("fetches", False),
        models=frozenset(_digests(item.get("models", ""))),
        models_room=item.get("room"),
        foreign_prompts=item.get("foreign", 0),
        jobs=tuple(JobId(job_id) for job_id in item["jobs"]),
        family=item.get("family"),
        seen_at=from_ms(item["seen"]),
        started_at=from_ms(item["started"]),
        ended=item.get("ended", False),
    )


def short(sha256: str) -> str:
    """Return how a model's hash begins, as workers tell it of what they hold."""
    return sha256[:DIGEST_CHARS]


def _digests(joined: str) -> Iterable[str]:
    return (joined[at : at + DIGEST_CHARS] for at in range(0, len(joined), DIGEST_CHARS))


def absence_of(known: Sequence[WorkerState]) -> str:
    """Say since when no worker is live, from the states that are still stored."""
    last = max((worker.seen_at for worker in known), default=None)
    if last is None:
        return "no worker is connected; none was seen in the last 24 hours"
    return f"no worker is connected; the last one was seen at {last:%Y-%m-%dT%H:%M:%SZ}"


def obstacle_of(live: Sequence[WorkerState]) -> str | None:
    """Return why none of the live workers takes a job; None if one does.

    It names no worker: every client may read it, and their ids may hold names of hosts.
    """
    if not live:
        return "no worker is connected"
    answering = [worker for worker in live if worker.engine_ok]
    if not answering:
        reasons = {worker.engine_reason or "ComfyUI does not answer" for worker in live}
        return "; ".join(sorted(reasons))
    if any(worker.takes_jobs for worker in live):
        return None
    paused = {worker.paused for worker in answering if worker.paused}
    return "; ".join(sorted(paused)) or "every worker that could run a job is shutting down"


def foreign_delay_of(live: Sequence[WorkerState]) -> str | None:
    """Return what the ComfyUIs of all workers that take jobs run before the next job; None if one
    of them runs nothing but jobs of ours."""
    counts = [worker.foreign_prompts for worker in live if worker.takes_jobs]
    fewest = min(counts, default=0)
    if not fewest:
        return None
    prompts = "1 prompt" if fewest == 1 else f"{fewest} prompts"
    return f"ComfyUI first runs {prompts} of others, sent to it without comfyq"
