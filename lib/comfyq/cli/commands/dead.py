"""``comfyq dead``: what the queues gave up on."""

import sys
from typing import Annotated

import typer

from comfyq.cli.client import Json, client_at
from comfyq.cli.errors import ExitCode
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json
from comfyq.cli.targets import check_id
from comfyq.cli.texts.controls import visible

LetterId = Annotated[str, typer.Argument(metavar="ID", help="The letter's id.")]


def listing(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Another one than your own.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first. They are kept for 14 days."""
    page = client_at(ctx, url).dead_letters(limit=limit, cursor=cursor, tenant=tenant)
    if as_json:
        print_json(page)
        return
    for letter in page["letters"]:
        _print(letter)
    if not page["letters"]:
        typer.echo("no dead letters" if cursor is None else "no more dead letters", err=True)
    if page["next_cursor"]:
        typer.echo(visible(f"more: --cursor {page['next_cursor']}"))


def show(ctx: typer.Context, letter_id: LetterId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its whole body."""
    check_id(letter_id, listed="comfyq dead list")
    letter = client_at(ctx, url).dead_letter(letter_id)
    if as_json:
        print_json(letter)
        return
    _print(letter)
    body = str(letter["body"])
    typer.echo(visible(body) if sys.stdout.isatty() else body)  # programs read it as it is


def redrive(
    ctx: typer.Context, letter_id: LetterId, url: Url = None, as_json: AsJson = False
) -> None:
    """Send a dead letter again. Exit code 1 if it was refused again, or rings for nothing."""
    check_id(letter_id, listed="comfyq dead list")
    redriven = client_at(ctx, url).redrive(letter_id)
    if as_json:
        print_json(redriven)
    else:
        typer.echo(visible(f"{redriven['letter']['id']}: {redriven['outcome']}"))
    if redriven["outcome"] in ("refused", "gone"):
        raise typer.Exit(ExitCode.JOB_FAILED)


def _print(letter: Json) -> None:
    again = f", sent again {letter['redrives']} times" if letter["redrives"] else ""
    told = f"{letter['id']}  {letter['buried_at']}  {letter['origin']}  {letter['reason']}{again}"
    typer.echo(visible(told))
