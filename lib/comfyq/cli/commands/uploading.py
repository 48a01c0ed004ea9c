"""Files for jobs: stored, listed, deleted."""

from pathlib import Path
from typing import Annotated

import typer

from comfyq.cli.client import client_at
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json
from comfyq.cli.sources import stored
from comfyq.cli.targets import check_id
from comfyq.cli.texts.controls import visible
from comfyq.domain.files.sources import ASSET


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
        typer.echo(visible(asset["source"]))


def listing(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List stored files, newest first: what counts against the stored bytes of `comfyq quota`."""
    page = client_at(ctx, url).assets(limit=limit, cursor=cursor)
    if as_json:
        print_json(page)
        return
    for asset in page["assets"]:
        told = f"{asset['source']}  {asset['size']:>11}  {asset['expires_at']}  {asset['filename']}"
        typer.echo(visible(told))
    if not page["assets"] and not page["next_cursor"]:
        typer.echo("no stored files" if cursor is None else "no more stored files", err=True)
    if page["next_cursor"]:
        typer.echo(visible(f"more: --cursor {page['next_cursor']}"))


def delete(
    ctx: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="`asset:ID`, or ID alone.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete stored files that no job needs. Their bytes are free some ten minutes later."""
    client = client_at(ctx, url)
    for named in ids:
        asset_id = named.removeprefix(ASSET)
        check_id(asset_id, listed="comfyq files list")
        client.delete_asset(asset_id)
        if as_json:
            print_json({"asset": asset_id, "deleted": True})
        else:
            typer.echo(f"deleted {ASSET}{asset_id}")
