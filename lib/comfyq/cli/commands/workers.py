"""``comfyq workers``: who runs jobs now."""

import typer

from comfyq.cli.client import client_at
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json, print_workers


def listing(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """List live workers: what they run on, which jobs they hold, why they take none.

    Where keys are needed, it is for those with the scope `admin`; the jobs are your tenant's.
    """
    found = client_at(ctx, url).workers()
    if as_json:
        print_json(found)
    elif found["workers"]:
        print_workers(found["workers"])
    else:
        typer.echo("no worker is alive; `comfyq worker` starts one", err=True)
