"""Completion on TAB: names of the server and of this machine, or nothing at all.

Completion runs while somebody types, so it waits for a server for a moment only, and says of
nothing that went wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from comfyq.cli.errors import CommandError
from comfyq.cli.profiles.servers import Server, Servers, servers_of

if TYPE_CHECKING:
    from comfyq.cli.client import ApiClient

PATIENCE_S = 2.0
SHOWN = 30  # newest jobs or batches

Completions = Sequence[tuple[str, str]]  # each with what is shown beside it


def workflow_names(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the workflows that are served."""
    with _quietly(), _asked(ctx) as client:
        listed = client.workflows()["workflows"]
        return _matching([(each["name"], each["title"]) for each in listed], incomplete)
    return ()


def job_ids(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the newest jobs."""
    with _quietly(), _asked(ctx) as client:
        jobs = client.jobs(limit=SHOWN, cursor=None)["jobs"]
        shown = [(each["id"], f"{each['status']} {each['workflow']}") for each in jobs]
        return _matching(shown, incomplete)
    return ()


def batch_ids(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the newest batches."""
    with _quietly(), _asked(ctx) as client:
        batches = client.batches(limit=SHOWN, cursor=None)["batches"]
        shown = [(each["batch_id"], f"batch of {each['size']}") for each in batches]
        return _matching(shown, incomplete)
    return ()


def job_or_batch_ids(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the newest jobs and batches."""
    return [*job_ids(ctx, incomplete), *batch_ids(ctx, incomplete)]


def profile_names(ctx: typer.Context, incomplete: str) -> Completions:
    """Return the profiles of this machine."""
    with _quietly():
        from comfyq.cli.profiles.profile_file import read_profiles

        profiles = read_profiles(_servers(ctx).file)
        return _matching([(name, profiles.get(name).url) for name in profiles.all], incomplete)
    return ()


def server_of(ctx: typer.Context, own_url: str | None) -> Server:
    """Return the server that a half-written command names."""
    return _servers(ctx).at(own_url)


@contextmanager
def _asked(ctx: typer.Context) -> "Iterator[ApiClient]":
    from comfyq.cli.client import ApiClient

    server = server_of(ctx, ctx.params.get("url"))
    client = ApiClient(server.url, credential=server.credential, timeout_s=PATIENCE_S)
    with closing(client):
        yield client


def _servers(ctx: typer.Context) -> Servers:
    """Return the servers that ``comfyq`` itself was given; its callback does not run on TAB."""
    root: Any = ctx.find_root()
    return servers_of(root)


@contextmanager
def _quietly() -> Iterator[None]:
    with suppress(CommandError, KeyError, TypeError):
        yield


def _matching(shown: Completions, incomplete: str) -> Completions:
    return [each for each in shown if each[0].startswith(incomplete)]
