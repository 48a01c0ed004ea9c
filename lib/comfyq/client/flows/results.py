"""A batch's requests as they end."""

from comfyq.client import calls
from comfyq.client.effects import Emit, Flow, each_emitted
from comfyq.client.flows.following import batch_target, frames, has_ended
from comfyq.client.messages import Json
from comfyq.client.sender import Deadline, Sender

GOING_ON = ("queued", "running")


def batch_results(sender: Sender, batch_id: str, deadline: Deadline) -> Flow[None]:
    """Emit each item of a batch once: when its job has ended, or at once if there is none."""
    results = _Results(sender, batch_id, deadline)
    following = frames(sender, batch_target(batch_id), deadline)
    yield from each_emitted(following, results.take)


class _Results:
    def __init__(self, sender: Sender, batch_id: str, deadline: Deadline) -> None:
        self._sender = sender
        self._batch_id = batch_id
        self._deadline = deadline
        self._emitted: set[int] = set()
        self._going_on = -1  # jobs, when the items were looked at last

    def take(self, frame: Json) -> Flow[None]:
        """Look at the items if any of them can have ended since."""
        counts = frame.get("counts") or {}
        going_on = sum(counts.get(status, 0) for status in GOING_ON)
        if going_on == self._going_on and not frame.get("done"):
            return
        self._going_on = going_on
        request = calls.batch(self._batch_id, items=True)
        batch = yield from self._sender.json(request, self._deadline)
        for item in batch["items"]:
            if item["index"] not in self._emitted and _is_settled(item):
                self._emitted.add(item["index"])
                yield Emit(item)


def _is_settled(item: Json) -> bool:
    """Return whether a request's job has ended, or there is none; one that is being stored has
    neither a job nor an error."""
    job = item.get("job")
    return item.get("error") is not None if job is None else has_ended(job)
