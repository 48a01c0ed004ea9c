"""``comfyq tenants delete-data``, which works on the table itself."""

from typing import Annotated

import typer

from comfyq.bootstrap.access import opened_access, tenants_of
from comfyq.cli.on_table import on_table, operator, tenant_of
from comfyq.cli.options import AsJson, DataDir
from comfyq.cli.printing import print_json
from comfyq.wire.tenants import DataView
from comfyq.wire.times import format_time

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="Its name, as in `comfyq keys create --tenant`.")
]


def delete_data(
    ctx: typer.Context,
    tenant: TenantName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete all jobs, files and other data of a tenant; its keys and its audit log stay.

    Its jobs are canceled, and it may send nothing new until all is deleted, which takes a minute
    at least. A running `comfyq up`, or the reaper on AWS, does it; `comfyq tenants show` tells how
    far it is.
    """
    of = tenant_of(tenant, option="TENANT")
    if not yes:
        typer.confirm(f"delete all jobs, files and other data of tenant {of} for ever?", abort=True)
    begun = on_table(
        ctx,
        data_dir,
        opened_access,
        lambda services: tenants_of(services).delete_data(of, by=operator()),
    )
    data = DataView.of(begun)
    if as_json:
        print_json(data.model_dump(mode="json"))
        return
    typer.echo(deletion_text(data))
    typer.echo(f"`comfyq tenants show {of}` tells how far it is")


def deletion_text(data: DataView) -> str:
    """Say how far the deletion of a tenant's data is."""
    counts = (f"{count} {kind.replace('_', ' ')}" for kind, count in data.deleted.items())
    what = ", ".join(counts) or "nothing yet"
    if data.ended_at is not None:
        return f"{data.tenant}: all data was deleted at {format_time(data.ended_at)} ({what})"
    assert data.begun_at is not None, "it is running"
    return f"{data.tenant}: all data is being deleted since {format_time(data.begun_at)} ({what})"
