"""Files of this machine for jobs elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from comfyq.cli.client import client_at
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json
from comfyq.cli.sources import stored


def upload(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A picture, video or sound.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Store a file for jobs, and print what a request says for it: `asset:ID`."""
    asset = stored(client_at(ctx, url), file)
    if as_json:
        print_json(asset)
    else:
        typer.echo(asset["source"])
