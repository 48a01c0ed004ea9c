"""``comfyq profiles``: servers by name, so that nobody has to write URLs and keys again."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from comfyq.cli.completion import profile_names
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.cli.profiles.profile_file import (
    Profile,
    Profiles,
    checked_credential,
    checked_name,
    checked_url,
    read_profiles,
    write_profiles,
)
from comfyq.cli.profiles.servers import Servers

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]
KnownName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The profile's name.", autocompletion=profile_names),
]


def add(
    ctx: typer.Context,
    name: Name,
    url: Annotated[str, typer.Option(help="Where its server answers.")],
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="What the server knows you by; - asks for it, or reads it."
        ),
    ] = None,
    token_command: Annotated[
        str | None,
        typer.Option(
            metavar="CMD", help="Prints a token whenever one is needed; no shell runs it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a profile, or replace it. The first one is used from then on."""
    if api_key is not None and token_command is not None:
        raise CannotStart("a server is shown either a key or a token: leave one out")
    profile = Profile(
        url=checked_url(url),
        api_key=None if api_key is None else checked_credential(_key(api_key), "a key"),
        token_command=token_command,
    )
    added = _changed(ctx, lambda profiles: profiles.with_profile(checked_name(name), profile))
    if as_json:
        print_json(_shown(name, added))
    else:
        typer.echo(f"added {_described(name, added)}")


def listing(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List profiles, without their keys; * is the one that is used."""
    profiles = read_profiles(_file(ctx))
    if as_json:
        print_json({"profiles": [_shown(name, profiles) for name in profiles.all]})
        return
    for name in profiles.all:
        typer.echo(_described(name, profiles))
    if not profiles.all:
        typer.echo("no profiles; `comfyq profiles add NAME --url URL` makes one", err=True)


def use(ctx: typer.Context, name: KnownName, as_json: AsJson = False) -> None:
    """Use a profile wherever no option or variable names another server."""
    changed = _changed(ctx, lambda profiles: profiles.using(name))
    if as_json:
        print_json(_shown(name, changed))
    else:
        typer.echo(_described(name, changed))


def remove(ctx: typer.Context, name: KnownName, as_json: AsJson = False) -> None:
    """Remove a profile; its key stays valid until it is revoked."""
    _changed(ctx, lambda profiles: profiles.without(name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        typer.echo(f"removed {name}")


def _changed(ctx: typer.Context, change: Callable[[Profiles], Profiles]) -> Profiles:
    file = _file(ctx)
    profiles = change(read_profiles(file))
    write_profiles(file, profiles)
    return profiles


def _file(ctx: typer.Context) -> Path:
    servers: Servers = ctx.obj
    return servers.file


def _key(text: str) -> str:
    """Return a key that was given, typed in unseen, or sent through a pipe."""
    if text != "-":
        return text
    if sys.stdin.isatty():
        typed: str = typer.prompt("Key", hide_input=True)
        return typed.strip()
    return sys.stdin.readline().strip()


def _shown(name: str, profiles: Profiles) -> dict[str, object]:
    profile = profiles.get(name)
    shows = "key" if profile.api_key else "token" if profile.token_command else None
    return {"name": name, "url": profile.url, "shows": shows, "used": name == profiles.used}


def _described(name: str, profiles: Profiles) -> str:
    shown = _shown(name, profiles)
    mark = "*" if shown["used"] else " "
    command = profiles.get(name).token_command
    credential = {"key": "a key", "token": f"a token of `{command}`", None: "no key"}
    return f"{mark} {name}  {shown['url']}  {credential[shown['shows']]}"  # type: ignore[index]
