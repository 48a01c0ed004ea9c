"""``comfyq`` itself: what comes before a command's name."""

from pathlib import Path
from typing import Annotated

import typer

from comfyq import __version__
from comfyq.cli.completion import profile_names
from comfyq.cli.group import Commands
from comfyq.cli.profiles.servers import DEFAULT_URL, servers_of

app = typer.Typer(
    name="comfyq",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfyq {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(envvar="COMFYQ_URL", help="Where comfyq answers.", show_default=DEFAULT_URL),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="COMFYQ_API_KEY",
        metavar="KEY",
        help="What the server knows you by; others see it on a command line.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        envvar="COMFYQ_PROFILE",
        metavar="NAME",
        help="Ask the server of `comfyq profiles add`.",
        autocompletion=profile_names,
    ),
]
ConfigHome = Annotated[Path | None, typer.Option(envvar="XDG_CONFIG_HOME", hidden=True)]


@app.callback()
def comfyq(
    ctx: typer.Context,
    version: Version = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
    config_home: ConfigHome = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a defect.")] = False,
) -> None:
    """A front door for ComfyUI: submit generations, follow them, fetch what they made.

    Exit codes: 0 done; 1 the job failed or was canceled; 2 wrong usage, or refused by the server;
    3 no server was reached; 4 this machine's clock is wrong; 5 the port of a server cannot be
    listened on; 70 a defect of comfyq; 130 Ctrl-C.
    """

    ctx.obj = servers_of(ctx)
