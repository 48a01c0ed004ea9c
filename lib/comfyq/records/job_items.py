"""Job <-> item. The hot item is rewritten whole: under 1 KB, a write unit, but for long labels."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

from comfyq.domain.caller import TenantId
from comfyq.domain.job import Job, JobError, JobId, JobStatus, Lease, Limits, WorkerId
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.domain.job.order import rank, waits_since
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.ports.table import Item, Key
from comfyq.records.job_progress import progress_of, progress_values
from comfyq.records.times import from_ms, optional_time, sortable, to_ms

ACTIVE_SHARDS = 4
ASIDE_PARTITION = "ASIDE"  # of the index `ready`: jobs that wait for a worker able to run them
LAST = "~"  # the lane of jobs that a version without lanes has stored, after those of tenants
BEFORE_LAST = "001"  # between them


def meta_key(job_id: JobId) -> Key:
    return f"JOB#{job_id}", "META"


def active_partition(shard: int) -> str:
    return f"ACTIVE#{shard}"


def ended_partition(shard: int) -> str:
    """Return the partition of jobs that need nothing but their deletion."""
    return f"ENDED#{shard}"


def tenant_partition(tenant: TenantId) -> str:
    return f"T#{tenant}"


def status_partition(tenant: TenantId, status: JobStatus) -> str:
    return f"{tenant_partition(tenant)}#{status}"


def workflow_partition(tenant: TenantId, workflow: str) -> str:
    return f"{tenant_partition(tenant)}#W#{workflow}"


def label_partition(tenant: TenantId, name: str, value: str) -> str:
    return f"{tenant_partition(tenant)}#L#{name}={value}"


def age_key(job: Job) -> str:
    """Return the sort key under which every index lists a job by its age."""
    return f"{sortable(job.created_at)}#{job.id}"


def ready_partition(family: str) -> str:
    return f"READY#{family}"


@dataclass(frozen=True, slots=True)
class ReadyKey:
    """A waiting job's sort key: tenant by tenant, and of each in the order of claims."""

    lane: str
    rank: datetime
    since: datetime  # not claimable before
    job_id: JobId

    @classmethod
    def of(cls, job: Job) -> "ReadyKey":
        return cls(lane_of(job.tenant), rank(job), waits_since(job), job.id)

    @classmethod
    def read(cls, text: str) -> "ReadyKey":
        parts = text.split("#", 4)
        if len(parts) < 5:  # stored by a version without lanes
            return cls(LAST, since := from_ms(int(parts[0])), since, JobId(parts[-1]))
        number, tenant, at, since_ms, job_id = parts
        return cls(f"{number}#{tenant}", from_ms(int(at)), from_ms(int(since_ms)), JobId(job_id))

    @property
    def text(self) -> str:
        return f"{self.lane}#{sortable(self.rank)}#{sortable(self.since)}#{self.job_id}"


def lane_of(tenant: TenantId) -> str:
    """Return the part of a sort key that all jobs of a tenant share.

    Its number makes tenants' turns independent of their names. It is far below the milliseconds of
    any day since, with which keys of a version without lanes begin.
    """
    return f"{crc32(tenant.encode()):015d}#{tenant}"


def tenant_of(lane: str) -> TenantId | None:
    """Return whose a lane is; None: it is several tenants'."""
    return None if lane == LAST else TenantId(lane.partition("#")[2])


def end_of(lane: str) -> str:
    """Return a key after all of a lane, and before all of the next one."""
    return f"{lane}$"  # the character after "#"


def to_item(job: Job, *, write_id: str) -> Item:
    """Return a job's hot item. Each write of a job makes one, so what is absent costs no call."""
    item = {
        "pk": f"JOB#{job.id}",
        "sk": "META",
        "version": job.version,
        "wid": write_id,
        "status": str(job.status),
        "attempt": job.attempt,
        "started_attempt": job.started_attempt,
        "settled_attempt": job.settled_attempt,
        "adopted_attempt": job.adopted_attempt or None,
        "failures": job.failures,
        "passes": job.passes or None,
        "suited": job.is_suited or None,
        "worker": job.lease.worker if job.lease else None,
        "cancel": job.cancel_requested or None,
        "error": None if job.error is None else _error_value(job.error),
        "note": job.note,
        "warnings": list(job.warnings) or None,
        "end_pending": job.end_pending or None,
        "simulated": job.simulated or None,
        "reused": job.reused_from,
        "link_key": job.link_key,
        "seal": job.partner_seal,
        **_times(job),
        **_submitted_values(job),
        **_index_values(job),
        **progress_values(job.progress),
    }
    return {name: value for name, value in item.items() if value is not None}


def _times(job: Job) -> dict[str, int]:
    times = {
        "unsuited": job.unsuited_since,
        "lease": job.lease.expires_at if job.lease else None,
        "not_before": job.not_before,
        "started": job.started_at,
        "ended": job.ended_at,
        "claimed": job.claimed_at,
        "rung": job.rung_at,
        "created": job.created_at,
        "kept": job.kept_until,
        "barred": job.barred_until,
    }
    return {name: to_ms(when) for name, when in times.items() if when is not None}


def from_item(item: Item) -> Job:
    return Job(
        id=JobId(item["pk"].removeprefix("JOB#")),
        tenant=TenantId(item["tenant"]),
        workflow=item["workflow"],
        **_asked(item),
        family=item["family"],
        created_at=from_ms(item["created"]),
        priority=item.get("priority", NORMAL_PRIORITY),
        limits=Limits(*item["limits"]),
        status=JobStatus(item["status"]),
        attempt=item["attempt"],
        started_attempt=item["started_attempt"],
        settled_attempt=item["settled_attempt"],
        adopted_attempt=item.get("adopted_attempt", 0),
        failures=item["failures"],
        passes=item.get("passes", 0),
        unsuited_since=optional_time(item.get("unsuited")),
        is_suited=item.get("suited", False),
        lease=_lease(item),
        not_before=optional_time(item.get("not_before")),
        cancel_requested=item.get("cancel", False),
        progress=progress_of(item),
        started_at=optional_time(item.get("started")),
        ended_at=optional_time(item.get("ended")),
        claimed_at=optional_time(item.get("claimed")),
        error=_error(item.get("error")),
        note=item.get("note"),
        warnings=tuple(item.get("warnings", ())),
        rung_at=optional_time(item.get("rung")),
        end_pending=item.get("end_pending", False),
        simulated=item.get("simulated", False),
        reused_from=item.get("reused"),
        kept_until=optional_time(item.get("kept")),
        barred_until=optional_time(item.get("barred")),
        link_key=item.get("link_key"),
        partner_seal=item.get("seal"),
        due_at=from_ms(int(item["ask"])),
        version=item["version"],
    )


def _asked(item: Item) -> dict[str, Any]:
    """Return what of a job its request said, if it did."""
    return {
        "seed": item.get("seed"),
        "title": item.get("title"),
        "labels": item.get("labels", {}),
        "webhook_events": tuple(map(WebhookEvent, item.get("hook", ()))),
        "retry_of": item.get("retry_of"),
        "trace": item.get("trace"),
    }


def _lease(item: Item) -> Lease | None:
    if "worker" not in item:
        return None
    return Lease(WorkerId(item["worker"]), from_ms(item["lease"]))


def _submitted_values(job: Job) -> dict[str, Any]:
    """Return what a job has from its submission on."""
    limits = job.limits
    return {
        "tenant": job.tenant,
        "workflow": job.workflow,
        "seed": job.seed,
        "title": job.title,
        "labels": dict(job.labels) or None,
        "hook": list(map(str, job.webhook_events)) or None,
        "retry_of": job.retry_of,
        "trace": job.trace,
        "family": job.family,
        "priority": None if job.priority == NORMAL_PRIORITY else job.priority,
        "limits": [  # the fields in order; ``astuple`` would copy each deeply
            limits.queue_timeout_s,
            limits.run_timeout_s,
            limits.stall_s,
            limits.max_attempts,
            limits.unsuited_timeout_s,
        ],
    }


def _index_values(job: Job) -> dict[str, str]:
    """Return the keys of a job in the indexes that list it."""
    is_settled = job.status.terminal and not job.end_pending
    partition = ended_partition if is_settled else active_partition
    tenant = tenant_partition(job.tenant)
    keys = {
        "tpk": tenant,
        "spk": f"{tenant}#{job.status}",
        "tsk": age_key(job),
        "apk": partition(crc32(job.id.encode()) % ACTIVE_SHARDS),
        "ask": sortable(job.due_at),
    }
    if job.status is JobStatus.QUEUED and job.lease is None:
        keys |= _ready_keys(job)
    return keys


def _ready_keys(job: Job) -> dict[str, str]:
    """Return the key of a waiting job in the index ``ready``."""
    if job.unsuited_since is not None:  # out of what workers choose from, until it suits one
        return {"rpk": ASIDE_PARTITION, "rsk": f"{sortable(job.unsuited_since)}#{job.id}"}
    return {"rpk": ready_partition(job.family), "rsk": ReadyKey.of(job).text}


def _error_value(error: JobError) -> dict[str, Any]:
    value = {"code": error.code, "message": error.message, "node": error.node}
    return {k: v for k, v in value.items() if v is not None} | {"details": list(error.details)}


def _error(value: dict[str, Any] | None) -> JobError | None:
    if value is None:
        return None
    details = tuple(value["details"])
    return JobError(value["code"], value["message"], value.get("node"), details)
