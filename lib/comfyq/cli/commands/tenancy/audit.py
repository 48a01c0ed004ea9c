"""``comfyq audit``, which works on the table itself."""

from typing import Annotated

import typer

from comfyq.bootstrap.access import opened_access
from comfyq.cli.errors import CannotStart
from comfyq.cli.on_table import on_table, tenant_of
from comfyq.cli.options import AsJson, DataDir
from comfyq.cli.printing import print_json
from comfyq.cli.texts.controls import visible
from comfyq.domain.audit import AuditEntry
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import InvalidCursor
from comfyq.edges.api.cursors import decode_cursor, encode_cursor
from comfyq.wire.audit import AuditLog


def audit(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help="Whose log.")] = DEFAULT_TENANT,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a tenant's keys and data, newest first, for a year."""
    of = tenant_of(tenant)
    try:
        after = None if cursor is None else decode_cursor(cursor)
    except InvalidCursor as wrong:
        raise CannotStart(f"--{wrong}") from wrong
    entries, following = on_table(
        ctx,
        data_dir,
        opened_access,
        lambda services: services.audit.page(of, limit=limit, after=after),
    )
    next_cursor = None if following is None else encode_cursor(following)
    if as_json:
        print_json(AuditLog.of(entries, next_cursor).model_dump(mode="json"))
        return
    for entry in entries:
        typer.echo(visible(_described(entry)))
    if not entries:
        typer.echo("nothing was done that is noted here", err=True)
    if next_cursor is not None:
        typer.echo(f"more: --cursor {next_cursor}")


def _described(entry: AuditEntry) -> str:
    details = "".join(f"  {name}: {text}" for name, text in entry.details.items())
    where = f" at {entry.actor.address}" if entry.actor.address else ""
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.action}  {entry.subject}  "
        f"by {entry.actor.who}{where}{details}"
    )
