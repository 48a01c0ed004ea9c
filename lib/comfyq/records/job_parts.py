"""Items of what belongs to a job: its spec, its labels and its ended attempts."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from comfyq.domain.files.inputs import InputFile
from comfyq.domain.graph.documents.pnginfo import packed, unpacked
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.job.attempt import Attempt
from comfyq.domain.models.lock import model_of, values_of
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook.target import WebhookTarget
from comfyq.ports.table import Item
from comfyq.records.job_items import age_key, label_partition, workflow_partition
from comfyq.records.times import from_ms, optional_ms, optional_time, to_ms

ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)  # made once


def spec_item(job: Job, spec: Spec) -> Item:
    """Return the item of a job's spec. The index lists it by the job's workflow: it is written
    once, as the workflow is."""
    body = {
        "graph": spec.graph,
        "parameters": spec.parameters,
        "warnings": spec.warnings,
        "inputs": [asdict(each) for each in spec.inputs],
        "metadata": spec.metadata,
        "reuse": spec.reuse_key,
        "judged_by": spec.judged_by,
    }
    if spec.pnginfo:
        body["pnginfo"] = packed(spec.pnginfo)
    if spec.has_partner_key:
        body["partner_key"] = True
    if spec.models:
        body["models"] = [values_of(each) for each in spec.models]
    if spec.webhook is not None:
        body["webhook"] = {"url": spec.webhook.url, "base_url": spec.webhook.base_url}
        body["webhook_sees"] = spec.webhook.sees_outputs
    return {
        "pk": f"JOB#{job.id}",
        "sk": "SPEC",
        "body": _dump(body),
        "tpk": workflow_partition(job.tenant, job.workflow),
        "tsk": age_key(job),
    }


def label_items(job: Job) -> list[Item]:
    """Return the items by which the index lists a job under each of its labels."""
    return [
        {
            "pk": f"JOB#{job.id}",
            "sk": f"LABEL#{name}",
            "tpk": label_partition(job.tenant, name, value),
            "tsk": age_key(job),
        }
        for name, value in job.labels.items()
    ]


def no_spec_item(job_id: JobId, *, ttl: int) -> Item:
    """Return what takes the place of a deleted job's spec until ``ttl`` (epoch seconds)."""
    return {"pk": f"JOB#{job_id}", "sk": "SPEC", "ttl": ttl}


def spec_of(item: Item) -> Spec:
    body = json.loads(item["body"])
    return Spec(
        graph=body["graph"],
        parameters=body["parameters"],
        warnings=tuple(body["warnings"]),
        inputs=tuple(InputFile(**each) for each in body.get("inputs", ())),
        metadata=body.get("metadata", True),
        reuse_key=body.get("reuse"),
        has_partner_key=body.get("partner_key", False),
        judged_by=body.get("judged_by"),
        models=tuple(model_of(each) for each in body.get("models", ())),
        pnginfo=unpacked(body["pnginfo"]) if "pnginfo" in body else {},
        webhook=_webhook(body),
    )


def _webhook(body: Mapping[str, Any]) -> WebhookTarget | None:
    """Return who is told of a job; those of an earlier version are all told what it has made."""
    if "webhook" not in body:
        return None
    return WebhookTarget(**body["webhook"], sees_outputs=body.get("webhook_sees", True))


def attempt_item(job_id: JobId, attempt: Attempt) -> Item:
    item = {
        "pk": f"JOB#{job_id}",
        "sk": f"TRY#{attempt.number:04d}",
        "worker": attempt.worker,
        "claimed": to_ms(attempt.claimed_at),
        "started": optional_ms(attempt.started_at),
        "ended": to_ms(attempt.ended_at),
        "verdict": attempt.verdict,
        "reason": attempt.reason,
    }
    return {name: value for name, value in item.items() if value is not None}


def attempt_of(item: Item) -> Attempt:
    return Attempt(
        number=int(item["sk"].removeprefix("TRY#")),
        worker=WorkerId(item["worker"]),
        claimed_at=from_ms(item["claimed"]),
        started_at=optional_time(item.get("started")),
        ended_at=from_ms(item["ended"]),
        verdict=item["verdict"],
        reason=item.get("reason"),
    )


def _dump(value: Any) -> str:
    return ENCODER.encode(value)
