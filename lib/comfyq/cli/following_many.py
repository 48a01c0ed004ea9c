"""Following many jobs and batches to their ends, at the same time."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Thread

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.following import follow

POLL_S = 1.0


def follow_batch(client: ApiClient, batch_id: str) -> Iterator[Json]:
    """Yield a batch as it is each second; the last one is done."""
    while True:
        batch = client.batch(batch_id)
        yield batch
        if batch["done"]:
            return
        time.sleep(POLL_S)


def follow_all(
    client: ApiClient, job_ids: Sequence[str], batch_ids: Sequence[str]
) -> Iterator[Json]:
    """Yield frames of jobs, and batches as they are, as they come, until all of them have ended.

    Raises what following one of them raises, at once.
    """
    followed = [partial(follow, client, job_id) for job_id in job_ids]
    followed += [partial(follow_batch, client, batch_id) for batch_id in batch_ids]
    told: SimpleQueue[Json | Exception | None] = SimpleQueue()
    for each in followed:
        # as daemons: Ctrl-C ends the command, whatever they wait for
        Thread(target=_put_all, args=(each, told), daemon=True).start()
    left = len(followed)
    while left:
        match told.get():
            case None:
                left -= 1
            case Exception() as wrong:
                raise wrong
            case frame:
                yield frame


def _put_all(
    frames: Callable[[], Iterator[Json]], told: "SimpleQueue[Json | Exception | None]"
) -> None:
    try:
        for frame in frames():
            told.put(frame)
    except Exception as wrong:
        told.put(wrong)
    else:
        told.put(None)
