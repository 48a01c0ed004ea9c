"""Following jobs and batches to their ends, over restarts of the server.

The client follows. Where the server has no streams, as on AWS, its socket tells of a job sooner
than asking for it does.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Thread

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.socket import ProgressSocket
from comfyq.client.flows.following import batch_target, job_target

Following = Callable[[], Iterator[Json]]


def follow(client: ApiClient, job_id: str, *, previews: bool = False) -> Iterator[Json]:
    """Yield the job's progress frames, each newer than the one before; the last tells its end.

    With ``previews``, their frames come between them.

    Raises:
        Refused: there is no such job.
        NotReached: the server has not answered for as long as ``client.patient`` waits.
    """

    def socket(job: Json) -> ProgressSocket:
        url: str = job["urls"]["ws"]
        return ProgressSocket(url, job_id, headers=client.key_headers, previews=previews)

    target = job_target(job_id, previews=previews)
    return client.patient.frames(target, fallback=socket)


def follow_batch(client: ApiClient, batch_id: str) -> Iterator[Json]:
    """Yield the batch's frames as ``follow`` does a job's; the last one is done."""
    return client.patient.frames(batch_target(batch_id))


def follow_all(
    client: ApiClient, job_ids: Sequence[str], batch_ids: Sequence[str]
) -> Iterator[Json]:
    """Yield frames of jobs and batches as they come, until all of them have ended.

    Raises what following one of them raises, at once.
    """
    followed: list[Following] = [partial(follow, client, job_id) for job_id in job_ids]
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


def _put_all(frames: Following, told: "SimpleQueue[Json | Exception | None]") -> None:
    try:
        for frame in frames():
            told.put(frame)
    except Exception as wrong:
        told.put(wrong)
    else:
        told.put(None)
