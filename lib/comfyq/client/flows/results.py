"""A batch's requests as they end."""

from comfyq.client import calls
from comfyq.client.effects import Emit, Flow, each_emitted
from comfyq.client.flows.following import batch_target, frames, has_ended
from comfyq.client.messages import Json
from comfyq.client.sender import Deadline, Sender

GOING_ON = ("queued", "running")


def batch_results(sender: Sender, batch_id: str, deadline: Deadline) -> Flow[None]:
    """Emit each item of a batch once: when its job has ended, or at once if there is none."""
    emitted: set[int] = set()

    def take(told: tuple[Json, Json | None]) -> Flow[None]:
        _, batch = told
        for item in () if batch is None else batch["items"]:
            if item["index"] not in emitted and _is_settled(item):
                emitted.add(item["index"])
                yield Emit(item)

    yield from each_emitted(batch_frames(sender, batch_id, deadline), take)


def batch_frames(sender: Sender, batch_id: str, deadline: Deadline) -> Flow[None]:
    """Emit each frame of a batch, and beside it the batch with its items if any of them can have
    ended since the frame before."""
    looked_at = -1  # jobs that went on when the items were looked at last

    def with_batch(frame: Json) -> Flow[None]:
        nonlocal looked_at
        counts = frame.get("counts") or {}
        going_on = sum(counts.get(status, 0) for status in GOING_ON)
        batch: Json | None = None
        if going_on != looked_at or frame.get("done"):
            looked_at = going_on
            batch = yield from sender.json(calls.batch(batch_id, items=True), deadline)
        yield Emit((frame, batch))

    yield from each_emitted(frames(sender, batch_target(batch_id), deadline), with_batch)


def _is_settled(item: Json) -> bool:
    """Return whether a request's job has ended, or there is none; one that is being stored has
    neither a job nor an error."""
    job = item.get("job")
    return item.get("error") is not None if job is None else has_ended(job)
