"""Commands that work on the table itself, so that they need no server."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from socket import gethostname
from typing import TypeVar

from comfyq.aio.logs import log
from comfyq.bootstrap.ports import MissingSetting
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import DataDir
from comfyq.cli.starting import readable_failures, settings_with
from comfyq.config import Settings
from comfyq.domain.audit import Actor
from comfyq.domain.caller import TenantId, tenant_id
from comfyq.local.private_files import keep_private

OpenedT = TypeVar("OpenedT")
T = TypeVar("T")


def on_table(
    data_dir: DataDir,
    opened: Callable[[Settings], AbstractAsyncContextManager[OpenedT]],
    work: Callable[[OpenedT], Awaitable[T]],
) -> T:
    """Do ``work`` with what is ``opened`` over the table that the settings name."""
    with readable_failures(MissingSetting):
        settings = settings_with(COMFYQ_DATA_DIR=data_dir)
        log.configure("warning")
        keep_private(settings.data_dir)

        async def done() -> T:
            async with opened(settings) as services:
                return await work(services)

        return asyncio.run(done())


def operator() -> Actor:
    """Return who runs this command, and on which machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return Actor(f"user {name}", gethostname())


def tenant_of(text: str, *, option: str = "--tenant") -> TenantId:
    """Return the tenant that a command was given."""
    try:
        return tenant_id(text)
    except ValueError as wrong:
        raise CannotStart(f"{option}: {wrong}") from wrong
