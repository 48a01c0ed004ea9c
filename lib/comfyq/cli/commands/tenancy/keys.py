"""``comfyq keys``: who may use a server. They work on the table itself, so that the first key can
be made before anything runs."""

from datetime import timedelta
from typing import Annotated

import typer

from comfyq.bootstrap.access import opened_keys
from comfyq.cli.errors import CannotStart
from comfyq.cli.on_table import on_table, operator, tenant_of
from comfyq.cli.options import AsJson, DataDir
from comfyq.cli.printing import print_json
from comfyq.cli.texts.controls import visible
from comfyq.cli.values.spans import now, span_of
from comfyq.domain.api_key import ApiKey, KeyId
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from comfyq.wire.keys import (
    LONGEST_S,
    MAX_NAME_CHARS,
    MOST_A_MINUTE,
    USUAL,
    KeyList,
    KeyView,
    NewKeyView,
)

Expires = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="As 90d, 12h, 30m or 2w.", show_default="never"),
]
Rate = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_A_MINUTE,
        help="Requests a minute that its holder may send.",
        show_default="COMFYQ_KEY_REQUESTS_PER_MINUTE",
    ),
]


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is, or what it is for.")],
    tenant: Annotated[
        str, typer.Option(help="Whose jobs and files its holder sees.")
    ] = DEFAULT_TENANT,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What its holder may do; repeatable.", show_default=" ".join(USUAL)),
    ] = None,
    expires: Expires = None,
    rate: Rate = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key, and print it this once."""
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise CannotStart(f"a key's name has 1 to {MAX_NAME_CHARS} printable characters")
    of, lives = tenant_of(tenant), None if expires is None else _life(expires)
    scopes = frozenset(scope or USUAL)
    key, text = on_table(
        ctx,
        data_dir,
        opened_keys,
        lambda keys: keys.create(
            of, name, scopes, lives=lives, requests_per_minute=rate, by=operator()
        ),
        makes=True,
    )
    if as_json:
        print_json(NewKeyView.made(key, text).model_dump(mode="json"))
        return
    typer.echo(text)
    typer.echo(
        f"{_described(key)}\nNobody can read it again. Clients send it as `Authorization: Bearer "
        "KEY`, `comfyq` takes it from COMFYQ_API_KEY.",
        err=True,
    )


def _life(text: str) -> timedelta:
    return span_of(text, "--expires", longest_s=LONGEST_S)


def listing(
    ctx: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List API keys, the oldest first; expired ones for 30 days."""
    of = None if tenant is None else tenant_of(tenant)
    keys = on_table(ctx, data_dir, opened_keys, lambda keys: keys.all(of))
    if as_json:
        print_json(KeyList(keys=[KeyView.of(key) for key in keys]).model_dump(mode="json"))
        return
    for key in keys:
        typer.echo(visible(_described(key)))
    if not keys:
        typer.echo("no keys; `comfyq keys create NAME` makes one", err=True)


def revoke(
    ctx: typer.Context,
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="The key's id, which stands in it too: cq_ID_…")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key: it lets nobody in any more, and its sockets end."""
    key = on_table(
        ctx, data_dir, opened_keys, lambda keys: keys.revoke(KeyId(key_id), by=operator())
    )
    if as_json:
        print_json(KeyView.of(key).model_dump(mode="json"))
        return
    typer.echo(visible(f"revoked {_described(key)}"))


def _described(key: ApiKey) -> str:
    scopes = ",".join(sorted(key.scopes))
    expires = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}Z"
    if key.has_expired(now()):
        expires = f"{expires} (expired)"
    used = "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}Z"
    rate = "" if key.requests_per_minute is None else f"  {key.requests_per_minute} a minute"
    return (
        f"{key.id}  {key.name}  tenant {key.tenant}  {scopes}{rate}  expires {expires}  "
        f"last used {used}"
    )
