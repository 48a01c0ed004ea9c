"""Commands that work on the table itself, so that they need no server."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from socket import gethostname
from typing import TypeVar

import typer

from comfyq.aio.logs import log
from comfyq.bootstrap.machine.data_check import has_data, has_table
from comfyq.bootstrap.ports import MissingSetting
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import DataDir
from comfyq.cli.profiles.servers import Servers
from comfyq.cli.starting import readable_failures, settings_with
from comfyq.config import Backend, Settings
from comfyq.domain.audit import Actor
from comfyq.domain.caller import TenantId, tenant_id
from comfyq.local.private_files import keep_private

OpenedT = TypeVar("OpenedT")
T = TypeVar("T")


def on_table(
    ctx: typer.Context,
    data_dir: DataDir,
    opened: Callable[[Settings], AbstractAsyncContextManager[OpenedT]],
    work: Callable[[OpenedT], Awaitable[T]],
    *,
    makes: bool = False,
) -> T:
    """Do ``work`` with what is ``opened`` over the table that the settings name.

    Only a command that ``makes`` something of its own begins a data directory: of one that only
    reads, an empty one would be answered from as if it were the server's.

    Raises:
        CannotStart: there is no table yet, or it cannot be worked with.
    """
    with readable_failures(MissingSetting):
        settings = settings_with(COMFYQ_DATA_DIR=data_dir)
        log.configure("warning")
        _look_at(settings, _unused(ctx, settings), makes=makes)
        if settings.backend is Backend.EMBEDDED:
            keep_private(settings.data_dir)

        async def done() -> T:
            async with opened(settings) as services:
                return await work(services)

        return asyncio.run(done())


def _look_at(settings: Settings, unused: str | None, *, makes: bool) -> None:
    """Say which data directory is worked on where that may be another one than was meant.

    Raises:
        CannotStart: there is none, and the command makes none.
    """
    folder = settings.data_dir.absolute()
    if has_table(settings):
        if unused is not None:
            where = f"the data directory {folder}"
            if settings.backend is not Backend.EMBEDDED:
                where = f"the table of COMFYQ_BACKEND={settings.backend}"
            typer.echo(f"{unused} is not used: this command works on {where} itself", err=True)
    elif not makes:
        where = "name that of the server with --data-dir or COMFYQ_DATA_DIR"
        if has_data(settings):
            where = 'its server keeps jobs elsewhere: `eval "$(comfyq env)"` names that'
        ignored = f"; this command asks no server, so {unused} is not used" if unused else ""
        raise CannotStart(f"the data directory {folder} has no data of comfyq: {where}{ignored}")
    else:
        ignored = f"; {unused} is not used, this command asks no server" if unused else ""
        typer.echo(
            f"a new data directory: {folder}; a server that is to use it is started with "
            f"--data-dir or COMFYQ_DATA_DIR{ignored}",
            err=True,
        )


def _unused(ctx: typer.Context, settings: Settings) -> str | None:
    """Return what names a server that this command does not ask; None: nothing does.

    Variables are there for other commands too: they are told of only where no data directory is
    named beside them, as `comfyq env` does.
    """
    servers: Servers = ctx.find_root().obj
    given = {"--url": servers.url, "--api-key": servers.api_key, "--profile": servers.profile}
    for option, named in given.items():
        if named.value and named.by_option:
            return option
    if settings.data_dir != Settings().data_dir or settings.backend is not Backend.EMBEDDED:
        return None
    variables = {"COMFYQ_URL": servers.url, "COMFYQ_PROFILE": servers.profile}
    return next((variable for variable, named in variables.items() if named.value), None)


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
