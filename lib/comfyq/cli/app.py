"""The commands."""

from typing import Annotated

import typer

from comfyq.cli import batch, dead, demo, infra, jobs, servers, submitting, uploading, workflows
from comfyq.cli.group import Commands
from comfyq.cli.options import DEFAULT_URL

SERVING = "Serve"
ASKING = "Ask a server"
AUTHORING = "Write workflows"

app = typer.Typer(
    name="comfyq",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)


@app.callback()
def comfyq(
    ctx: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="COMFYQ_URL", help="Where comfyq answers.")
    ] = DEFAULT_URL,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a defect.")] = False,
) -> None:
    """A front door for ComfyUI: submit generations, follow them, fetch what they made.

    Exit codes: 0 done; 1 the job failed or was canceled; 2 wrong usage, or refused by the server;
    3 no server was reached; 4 this machine's clock is wrong.
    """
    ctx.obj = url


app.command(rich_help_panel=ASKING, cls=submitting.SubmitCommand)(submitting.submit)
for command in (jobs.watch, jobs.status, jobs.show, jobs.cancel):
    app.command(rich_help_panel=ASKING)(command)
app.command("list", rich_help_panel=ASKING)(jobs.listing)
app.command(rich_help_panel=ASKING)(jobs.health)
app.command(rich_help_panel=ASKING)(batch.batch)
app.command(rich_help_panel=ASKING)(uploading.upload)
app.add_typer(dead.app, rich_help_panel=ASKING)
app.add_typer(workflows.app, name="workflows", rich_help_panel=AUTHORING)
for server in (servers.up, servers.worker, servers.simulator, servers.env):
    app.command(rich_help_panel=SERVING)(server)
app.add_typer(infra.app, rich_help_panel=SERVING)
app.command(hidden=True)(demo.demo)
