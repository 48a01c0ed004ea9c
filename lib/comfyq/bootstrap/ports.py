"""The ports that a backend gives the services."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from comfyq.domain.dead_letter import Origin
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Inbox
from comfyq.ports.joint import JointWrites
from comfyq.ports.notifier import LateFrames, Notifier, OwnSockets
from comfyq.ports.queue import JobQueue
from comfyq.ports.table import Table
from comfyq.ports.webhooks import WebhookDoorbell


async def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world, as one backend has it; ``close`` lets go of what is open."""

    table: Table
    queue: JobQueue
    assets: Assets
    clock: Clock
    notifier: Notifier
    close: Callable[[], None]
    prepare: Callable[[], Awaitable[None]] = nothing  # before the first use by a server or worker
    joint: JointWrites | None = None  # where one engine keeps table and queue
    webhook_doorbell: WebhookDoorbell | None = None  # of webhooks; None: this process wakes itself
    late_frames: LateFrames | None = None  # that this process asks another one to post
    stands_still: bool = False  # between events, so that no timer ends: a Lambda function's
    sockets: OwnSockets | None = None  # where the notifier can be told of this process's own
    submissions: Inbox | None = None  # requests that come through a queue
    write_failure: Callable[[], str | None] = lambda: None  # why the table stores nothing now
    dead: Mapping[Origin, Inbox] = field(default_factory=dict)  # what each queue gave up on


class MissingSetting(Exception):
    """A backend needs a setting that is not there; the message names it."""
