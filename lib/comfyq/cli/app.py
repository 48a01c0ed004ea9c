"""``comfyq`` itself: what comes before a command's name."""

from typing import Annotated

import typer

from comfyq import __version__
from comfyq.cli.group import Commands
from comfyq.cli.options import DEFAULT_URL, Server

app = typer.Typer(
    name="comfyq",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfyq {__version__}")
        raise typer.Exit


@app.callback()
def comfyq(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    url: Annotated[
        str, typer.Option(envvar="COMFYQ_URL", help="Where comfyq answers.")
    ] = DEFAULT_URL,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="COMFYQ_API_KEY",
            metavar="KEY",
            help="What the server knows you by; others see it on a command line.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a defect.")] = False,
) -> None:
    """A front door for ComfyUI: submit generations, follow them, fetch what they made.

    Exit codes: 0 done; 1 the job failed or was canceled; 2 wrong usage, or refused by the server;
    3 no server was reached; 4 this machine's clock is wrong.
    """
    ctx.obj = Server(url, api_key)
