"""Run a comfyq command that notes when it begins to post each frame.

usage: python -m tests.bench.sockets.timed_process COMMAND [OPTION...]

``COMFYQ_BENCH_POSTS`` names a folder; each process writes a file of lines into it: the job, its
version, its progress, and the moment by the clock that all processes of the machine share.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TextIO

from comfyq.domain.job import Job
from comfyq.records.subscriptions import Subscription
from comfyq.services.notify.announcer import Announcer
from tests.bench.sockets.delays import POSTS

announce, post = Announcer.announce, Announcer.post


def main() -> None:
    """Put the notes in before anything else uses the functions that make them."""
    folder = Path(os.environ[POSTS])  # noqa: TID251 - of tests alone
    with (folder / f"{os.getpid()}.jsonl").open("w", buffering=1) as notes:
        _note_into(notes)
        from comfyq.cli import main as comfyq

        comfyq()


def _note_into(notes: TextIO) -> None:
    def note(job: Job) -> None:
        print(json.dumps([job.id, job.version, job.progress.fraction, monotonic()]), file=notes)

    async def announced(self: Announcer, job: Job) -> bool:
        note(job)
        return await announce(self, job)

    async def posted(self: Announcer, job: Job, followers: Sequence[Subscription]) -> bool:
        note(job)
        return await post(self, job, followers)

    setattr(Announcer, "announce", announced)  # noqa: B010 - mypy refuses the assignment
    setattr(Announcer, "post", posted)  # noqa: B010


if __name__ == "__main__":
    main()
