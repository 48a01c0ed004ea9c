"""The newer generation's view of queue and history: `/api/jobs`."""

from collections.abc import Iterator
from typing import Any

from comfyui_simulator.messages import JsonObject
from comfyui_simulator.running.prompt_queue import History, Prompt, PromptQueue

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")


class Jobs:
    """Prompts as jobs, wherever they are."""

    def __init__(self, *, queue: PromptQueue, history: History) -> None:
        self._queue = queue
        self._history = history

    def all(self) -> list[JsonObject]:
        """Every job in short form, newest first."""
        jobs = [*self._unfinished(), *(_ended(item) for _, item in self._history.items())]
        return sorted(jobs, key=lambda job: int(job["create_time"]), reverse=True)

    def find(self, job_id: str) -> JsonObject | None:
        """One job in long form."""
        for job in self._unfinished():
            if job["id"] == job_id:
                return job
        item = self._history.get(job_id)
        return _ended(item) | _details(item) if item else None

    def _unfinished(self) -> Iterator[JsonObject]:
        if self._queue.running is not None:
            yield _waiting(self._queue.running, "in_progress")
        for prompt in self._queue.pending:
            yield _waiting(prompt, "pending")


def _waiting(prompt: Prompt, status: str) -> JsonObject:
    return _job(prompt.as_json(), status) | {"outputs_count": 0, "previewable_outputs_count": 0}


def _job(row: list[Any], status: str) -> JsonObject:
    number, prompt_id, _, extra_data, _ = row
    workflow_id = _workflow_id(extra_data)
    named = {} if workflow_id is None else {"workflow_id": workflow_id}
    created = extra_data["create_time"]
    return {
        "id": prompt_id,
        "status": status,
        "priority": number,
        "create_time": created,
        **named,
    }


def _workflow_id(extra_data: JsonObject) -> str | None:
    value: Any = extra_data
    for key in ("extra_pnginfo", "workflow", "id"):
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else str(value)


def _ended(item: JsonObject) -> JsonObject:
    messages = item["status"]["messages"]
    last_type, last = messages[-1]
    job = _job(item["prompt"], _status_after(last_type))
    job |= {"execution_start_time": messages[0][1]["timestamp"]}
    job |= {"execution_end_time": last["timestamp"]}
    if last_type == "execution_error":
        job["execution_error"] = last
    return job | _counts(item["outputs"])


def _status_after(last_message: str) -> str:
    ends = {"execution_success": "completed", "execution_interrupted": "cancelled"}
    return ends.get(last_message, "failed")


def _counts(outputs: JsonObject) -> JsonObject:
    entries = [
        entry | {"nodeId": node_id, "mediaType": media_type}
        for node_id, shown in outputs.items()
        for media_type, listed in shown.items()
        for entry in listed
        if isinstance(entry, dict)
    ]
    counts: JsonObject = {
        "outputs_count": len(entries),
        "previewable_outputs_count": len(entries),
    }
    return counts | ({"preview_output": entries[0]} if entries else {})


def _details(item: JsonObject) -> JsonObject:
    _, _, graph, extra_data, _ = item["prompt"]
    return {
        "outputs": item["outputs"],
        "execution_status": item["status"],
        "workflow": {"prompt": graph, "extra_data": extra_data},
    }
