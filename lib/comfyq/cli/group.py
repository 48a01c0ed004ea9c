"""The end of every command: errors become a message and an exit code in this one place."""

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from comfyq.cli.command_table import all_commands
from comfyq.cli.errors import ANSWERED_BY, CommandError, ExitCode
from comfyq.cli.texts.controls import visible

MISREAD = (KeyError, IndexError, TypeError, AttributeError, ValueError)  # of other fields than ours
OTHERWISE = (
    "answers otherwise than this comfyq reads it: it is another version, or no comfyq; `comfyq "
    "--version` tells this one, and `comfyq --debug` shows where"
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Commands(TyperGroup):
    """Typer answers wrong usage with 2 and Ctrl-C with 130 by itself; this adds the rest."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for command in all_commands():
            self.add_command(command)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            from comfyq.cli.texts.parameters import in_words  # few commands need what it imports

            wrong.message = in_words(wrong)
            raise
        except CommandError as expected:
            typer.echo(f"comfyq: {visible(str(expected))}", err=True)
            raise typer.Exit(expected.exit_code) from None
        except Exception as defect:
            # what Typer raises to end a command is an Exception too, and so is a closed pipe
            if ctx.params.get("debug") or _ends_a_command(defect):
                raise
            if (refused := _refused(defect)) is not None:
                typer.echo(f"comfyq: {refused}", err=True)
                raise typer.Exit(ExitCode.WRONG_USAGE) from None
            summary = visible(f"{type(defect).__name__}: {defect}")
            if isinstance(defect, MISREAD) and (server := ctx.meta.get(ANSWERED_BY)) is not None:
                typer.echo(f"comfyq: {visible(server)} {OTHERWISE} ({summary})", err=True)
                raise typer.Exit(ExitCode.NOT_REACHED) from None
            typer.echo(f"comfyq: a defect, which `comfyq --debug` shows: {summary}", err=True)
            raise typer.Exit(ExitCode.DEFECT) from None


def _ends_a_command(raised: Exception) -> bool:
    return isinstance(raised, typer.Exit | typer.Abort | typer.TyperException | BrokenPipeError)


def _refused(error: Exception) -> str | None:
    """Say what this machine refuses, or what of the command is no value; None: it is a defect."""
    from comfyq.client.errors import BadValue  # with all of the client, which --help does not need

    if isinstance(error, BadValue):  # such as an id that is none, which no request is made of
        return visible(str(error))
    return _refused_by_this_machine(error) if isinstance(error, OSError) else None


def _refused_by_this_machine(error: OSError) -> str | None:
    """Say which file cannot be used, or that there is no room; None: it is something else."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    return f"this machine's disk: {reason}" if error.errno in FULL else None
