"""``comfyq quota``, asked of a server, and ``comfyq tenants``, which work on the table itself."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from comfyq.bootstrap.tenancy.limits import opened_tenants
from comfyq.cli.client import Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.on_table import on_table, tenant_of
from comfyq.cli.options import AsJson, DataDir, Url
from comfyq.cli.printing import print_json
from comfyq.domain.tenant import Limits, Tenant


def _number(text: str) -> Any:
    return typer.Option(min=1, help=text, show_default="as it was")


PerMinute = Annotated[int | None, _number("What its clients may send.")]
PerDay = Annotated[int | None, _number("That it may make, from 00:00 UTC on.")]
Waiting = Annotated[int | None, _number("That may wait at the same time.")]
Stored = Annotated[int | None, _number("Of files that its clients have sent.")]


def quota(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show what you may use, and what you have used of it."""
    answer = client_at(ctx, url).quota()
    if as_json:
        print_json(answer)
        return
    typer.echo(f"tenant {answer['tenant']}")
    for line in _lines(answer):
        typer.echo(f"  {line}")


def limit(
    tenant: Annotated[str, typer.Argument(metavar="TENANT")],
    requests_per_minute: PerMinute = None,
    jobs_per_day: PerDay = None,
    waiting_jobs: Waiting = None,
    stored_bytes: Stored = None,
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
    )
    if asked == Limits() and not reset:
        raise CannotStart("name a limit, as `--jobs-per-day 1000`, or `--reset` to drop all")

    def change(old: Tenant) -> Tenant:
        return replace(old, limits=asked.over(Limits() if reset else old.limits))

    changed = on_table(data_dir, opened_tenants, lambda records: records.change(of, change))
    _print(changed, as_json=as_json)


def listing(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List tenants that have limits of their own."""
    tenants = on_table(data_dir, opened_tenants, lambda records: records.all())
    own = [tenant for tenant in tenants if tenant.limits != Limits()]
    for tenant in own:
        _print(tenant, as_json=as_json)
    if not own and not as_json:
        typer.echo("no tenant has limits of its own; `comfyq tenants limit` sets them", err=True)


def _print(tenant: Tenant, *, as_json: bool) -> None:
    if as_json:
        print_json({"tenant": tenant.id, "limits": asdict(tenant.limits)})
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
    for name in ("waiting_jobs", "stored_bytes"):
        share = quota[name]
        yield f"{name.replace('_', ' ')}: {share['used']} of {share['limit']}"
