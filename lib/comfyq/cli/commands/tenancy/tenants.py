"""``comfyq tenants``, which works on the table itself: what holds for one tenant; and ``comfyq
quota``, asked of a server."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from comfyq.bootstrap.access import AccessServices, opened_access, tenants_of
from comfyq.cli.client import Json, client_at
from comfyq.cli.commands.tenancy.tenant_data import TenantName, deletion_text
from comfyq.cli.errors import CannotStart
from comfyq.cli.on_table import on_table, operator, tenant_of
from comfyq.cli.options import AsJson, DataDir, Url
from comfyq.cli.printing import print_json
from comfyq.cli.texts.controls import visible
from comfyq.cli.values.spans import span_of, span_text
from comfyq.domain.tenant import MOST_RUNNING, Limits, Tenant
from comfyq.services.operations.tenants import KeptFor
from comfyq.wire.tenants import LONGEST_S, SHORTEST_S, DataView, DeletionStatus, TenantView


def _number(text: str) -> Any:
    return typer.Option(min=1, help=text, show_default="as it was")


PerMinute = Annotated[int | None, _number("What its clients may send.")]
PerDay = Annotated[int | None, _number("That it may make, from 00:00 UTC on.")]
Waiting = Annotated[int | None, _number("That may wait at the same time.")]
Stored = Annotated[int | None, _number("Of files that its clients have sent.")]
Made = Annotated[
    int | None,
    _number("Of outputs of its jobs, where COMFYQ_OUTPUT_BYTES is set."),
]
Running = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_RUNNING,
        help="That workers may hold at once, where COMFYQ_RUNNING_JOBS is set.",
        show_default="as it was",
    ),
]


def quota(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show what you may use, and what you have used of it."""
    answer = client_at(ctx, url).quota()
    if as_json:
        print_json(answer)
        return
    typer.echo(visible(f"tenant {answer['tenant']}"))
    for line in _lines(answer):
        typer.echo(visible(f"  {line}"))


def limit(
    ctx: typer.Context,
    tenant: TenantName,
    requests_per_minute: PerMinute = None,
    jobs_per_day: PerDay = None,
    waiting_jobs: Waiting = None,
    stored_bytes: Stored = None,
    output_bytes: Made = None,
    running_jobs: Running = None,
    reset: Annotated[bool, typer.Option(help="Forget the limits that it had before.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a tenant limits of its own, instead of the settings'.

    They hold within half a minute, without a restart.
    """
    of = tenant_of(tenant, option="TENANT")
    asked = Limits(
        requests_per_minute=requests_per_minute,
        jobs_per_day=jobs_per_day,
        waiting_jobs=waiting_jobs,
        stored_bytes=stored_bytes,
        output_bytes=output_bytes,
        running_jobs=running_jobs,
    )
    if asked == Limits() and not reset:
        raise CannotStart("name a limit, as `--jobs-per-day 1000`, or `--reset` to drop all")
    changed = on_table(
        ctx,
        data_dir,
        opened_access,
        lambda services: tenants_of(services).limit(of, asked, reset=reset, by=operator()),
        makes=True,
    )
    _print_limits(changed, as_json=as_json)


def listing(ctx: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List tenants that have limits of their own."""
    tenants = on_table(ctx, data_dir, opened_access, lambda services: services.tenant_records.all())
    own = [tenant for tenant in tenants if tenant.limits != Limits()]
    if as_json:
        print_json({"tenants": [_limits(tenant) for tenant in own]})
        return
    for tenant in own:
        _print_limits(tenant, as_json=False)
    if not own:
        typer.echo("no tenant has limits of its own; `comfyq tenants limit` sets them", err=True)


def _limits(tenant: Tenant) -> Json:
    return {"tenant": tenant.id, "limits": asdict(tenant.limits)}


def _print_limits(tenant: Tenant, *, as_json: bool) -> None:
    if as_json:
        print_json(_limits(tenant))
        return
    said = [
        f"{name.replace('_', ' ')} {number}"
        for name, number in asdict(tenant.limits).items()
        if number is not None
    ]
    typer.echo(f"{tenant.id}  {', '.join(said) or 'as the settings say'}")


def _lines(quota: Json) -> Iterator[str]:
    for rate in quota["requests"]:
        left = f"{rate['remaining']} of {rate['limit']} left"
        yield f"requests a minute of the {rate['of']}: {left}, all again in {rate['full_in_s']} s"
    if not quota["requests"]:
        yield "requests a minute: as many as you like"
    day = quota["jobs_per_day"]
    if day["limit"] is None:
        yield "jobs a day: as many as you like"
    else:
        yield f"jobs of this day: {day['used']} of {day['limit']}, until {day['ends_at']}"
    for name in ("waiting_jobs", "stored_bytes", "output_bytes"):
        if (share := quota.get(name)) is None:
            continue  # nobody counts
        yield f"{name.replace('_', ' ')}: {share['used']} of {share['limit']}"


def show(
    ctx: typer.Context, tenant: TenantName, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show a tenant's limits, how long its jobs and files are kept, and whether data is deleted.

    A tenant is whatever a key or a token names: one that nobody has yet has the usual limits.
    """
    of = tenant_of(tenant, option="TENANT")

    async def asked(services: AccessServices) -> tuple[KeptFor, Tenant]:
        tenants = tenants_of(services)
        return await tenants.kept(of), await tenants.data(of)

    kept, stored = on_table(ctx, data_dir, opened_access, asked)
    data = DataView.of(stored)
    if as_json:
        shown = TenantView.of(kept).model_dump(mode="json")
        shown["limits"] = asdict(stored.limits)
        print_json({**shown, "data": data.model_dump(mode="json", exclude={"tenant"})})
        return
    _print_limits(stored, as_json=False)
    _print_kept(kept, as_json=False)
    if data.status is not DeletionStatus.NONE:
        typer.echo(deletion_text(data))


def retention(
    ctx: typer.Context,
    tenant: TenantName,
    time: Annotated[str, typer.Argument(help="As 90d, 12h or 30m; `default`: as for others.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Keep a tenant's ended jobs and files for a time of its own.

    It holds for jobs that end, and files that are used, from half a minute later on.
    """
    of, span = (
        tenant_of(tenant, option="TENANT"),
        None if time == "default" else span_of(time, "TIME"),
    )
    if span is not None and not SHORTEST_S <= span.total_seconds() <= LONGEST_S:
        raise CannotStart(f"TIME: from {SHORTEST_S}s to {LONGEST_S // 86_400}d")
    kept = on_table(
        ctx,
        data_dir,
        opened_access,
        lambda services: tenants_of(services).keep(of, span, by=operator()),
        makes=True,
    )
    _print_kept(kept, as_json=as_json)


def _print_kept(kept: KeptFor, *, as_json: bool) -> None:
    if as_json:
        print_json(TenantView.of(kept).model_dump(mode="json"))
        return
    whose = "by its own setting" if kept.own else "as COMFYQ_RETENTION_S says"
    typer.echo(f"{kept.tenant}: ended jobs and files are kept for {span_text(kept.time)} ({whose})")
