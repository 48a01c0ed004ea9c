"""``comfyq webhooks``, which work on the table itself: who is told of a tenant's jobs by default,
and what signs it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from comfyq.bootstrap.webhooks.tenants import opened_webhooks
from comfyq.cli.errors import CannotStart, ExitCode
from comfyq.cli.on_table import on_table, operator, tenant_of
from comfyq.cli.options import AsJson, DataDir
from comfyq.cli.printing import print_json
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import InvalidParameters
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.events import ENDS, WebhookEvent, events_of
from comfyq.domain.webhook.secrets import WebhookSecrets
from comfyq.domain.webhook.urls import webhook_url_of
from comfyq.services.operations.tenant_webhooks import TenantWebhooks
from comfyq.wire.webhooks import WebhookSecretsView, WebhookTest, WebhookView

TenantOption = Annotated[str, typer.Option("--tenant", help="Whose jobs are told of.")]


def set_(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="An http or https URL that webhooks are posted to.")],
    event: Annotated[
        list[WebhookEvent] | None,
        typer.Option(help="What is told; repeatable.", show_default=" ".join(ENDS)),
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Have those jobs of a tenant told to a URL whose requests name none.

    It holds for jobs that are accepted from half a minute later on.
    """
    of = tenant_of(tenant)
    try:
        webhook = DefaultWebhook(url=webhook_url_of(url), events=events_of(event or ENDS))
    except ValueError as wrong:
        raise CannotStart(f"URL: {wrong}") from wrong

    async def change(webhooks: TenantWebhooks) -> WebhookView:
        await webhooks.set(of, webhook, by=operator())
        return await _shown(webhooks, of)

    try:
        view = on_table(ctx, data_dir, opened_webhooks, change, makes=True)
    except InvalidParameters as wrong:
        raise CannotStart(f"URL: {wrong.fields[0].message}") from wrong
    _print(view, as_json=as_json)


def show(
    ctx: typer.Context,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show who is told of a tenant's jobs by default, and which receivers fail."""
    of = tenant_of(tenant)
    _print(on_table(ctx, data_dir, opened_webhooks, lambda each: _shown(each, of)), as_json=as_json)


def delete(
    ctx: typer.Context,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody by default; what is still to be told to the default is dropped."""
    of = tenant_of(tenant)

    async def change(webhooks: TenantWebhooks) -> WebhookView:
        await webhooks.set(of, None, by=operator())
        return await _shown(webhooks, of)

    _print(on_table(ctx, data_dir, opened_webhooks, change), as_json=as_json)


def secret(
    ctx: typer.Context,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print the secret that signs a tenant's webhooks, for whoever receives them."""
    of = tenant_of(tenant)
    _print_secrets(
        ctx, lambda webhooks: webhooks.secrets(of, by=operator()), data_dir, as_json=as_json
    )


def rotate(
    ctx: typer.Context,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a new secret, and print it. For a day, the one before signs as well."""
    of = tenant_of(tenant)
    _print_secrets(
        ctx, lambda webhooks: webhooks.rotate(of, by=operator()), data_dir, as_json=as_json
    )


def try_out(
    ctx: typer.Context,
    tenant: TenantOption = DEFAULT_TENANT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send a message of type webhook.test to the default. Exit code 1 if it did not arrive."""
    of = tenant_of(tenant)
    try:
        attempted = on_table(ctx, data_dir, opened_webhooks, lambda webhooks: webhooks.test(of))
    except InvalidParameters:
        raise CannotStart(
            f"tenant {of} has no default webhook; `comfyq webhooks set URL` makes one"
        ) from None
    if as_json:
        print_json(WebhookTest.of(attempted).model_dump(mode="json"))
    elif attempted.error is None:
        typer.echo(f"it arrived: the receiver answered {attempted.code}")
    else:
        typer.echo(f"it did not arrive: {attempted.error}", err=True)
    if attempted.error is not None:
        raise typer.Exit(ExitCode.JOB_FAILED)


async def _shown(webhooks: TenantWebhooks, tenant: TenantId) -> WebhookView:
    return WebhookView.of(await webhooks.default(tenant), await webhooks.failing(tenant))


def _print(view: WebhookView, *, as_json: bool) -> None:
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    if view.url is None:
        typer.echo("nobody is told by default")
    else:
        typer.echo(f"{view.url}  {', '.join(view.events)}")
        if view.gone_at is not None:
            typer.echo(
                f"nothing is sent to it: it answered 410 at {view.gone_at:%Y-%m-%d %H:%M:%S}Z; "
                "`comfyq webhooks set URL` begins anew"
            )
    for each in view.failing:
        typer.echo(f"{each.receiver} fails since {each.since:%Y-%m-%d %H:%M:%S}Z: {each.error}")
        if each.paused_until is not None:
            typer.echo(f"  paused: it is tried next at {each.paused_until:%Y-%m-%d %H:%M:%S}Z")


def _print_secrets(
    ctx: typer.Context,
    ask: Callable[[TenantWebhooks], Awaitable[WebhookSecrets]],
    data_dir: DataDir,
    *,
    as_json: bool,
) -> None:
    view = WebhookSecretsView.of(on_table(ctx, data_dir, opened_webhooks, ask))
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    typer.echo(view.secret)
    if view.earlier_until is not None:
        typer.echo(
            f"the one before signs as well until {view.earlier_until:%Y-%m-%d %H:%M:%S}Z", err=True
        )
