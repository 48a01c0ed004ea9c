"""``comfyq submit``: each workflow's parameters are its options, as the server tells them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.completion import PATIENCE_S, server_of, workflow_names
from comfyq.cli.errors import CannotStart, CommandError, Refused
from comfyq.cli.graph_file import (
    GRAPH_INSTEAD,
    GRAPH_OPTIONS,
    OVERRIDE,
    graph_in,
    override_of,
)
from comfyq.cli.lazy import command_of
from comfyq.cli.options import AsJson, LabelOptions, Priority, Url, Webhook, WebhookEvents
from comfyq.cli.outcome import print_submitted, see_through
from comfyq.cli.profiles.servers import Server
from comfyq.cli.sources import source_of
from comfyq.cli.submission_words import Words
from comfyq.cli.values.labels import labels_given
from comfyq.cli.values.webhooks import webhook_given
from comfyq.cli.workflow_options import options_of, values_of
from comfyq.domain.submission.request import DEFAULT_WORKFLOW

BROKEN = " is broken: "  # how the server says that a workflow is there and not served
Key = Annotated[str | None, typer.Option(help="The same key again gives the first answer.")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="Take an earlier job's outputs; name the seed.")
]
NoMetadata = Annotated[
    bool, typer.Option("--no-metadata", help="Do not tell in files how they were made.")
]
ALONE = ("ctx", "workflow", *(option.name for option in GRAPH_OPTIONS))  # not of every request


def submit(
    ctx: typer.Context,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW",
            help="Its name; or a prompt of several words, for flux-dev.",
            autocompletion=workflow_names,
        ),
    ],
    graph: GRAPH_INSTEAD = None,
    override: OVERRIDE = None,
    idempotency_key: Key = None,
    reuse: Reuse = False,
    label: LabelOptions = None,
    no_metadata: NoMetadata = False,
    priority: Priority = None,
    webhook: Webhook = None,
    webhook_event: WebhookEvents = None,
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Follow it, and fetch the outputs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where outputs go; implies --wait.", show_default=".")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a generation: `comfyq submit WORKFLOW [PROMPT] [OPTIONS]`.

    `comfyq submit --graph FILE` runs a graph of your own: ComfyUI's API format, an editor file, or
    a PNG or WebP that ComfyUI has saved. `--override 3.seed=7` replaces an input of it.

    `comfyq submit WORKFLOW --help` shows the workflow's own options: `--steps`, `--seed` and more.
    A path that is given for a picture, video or sound is uploaded.

    With --wait, show its progress and fetch what it makes. With --wait --json: the job, its
    progress frames, and the ended job with its `files`, one a line.
    """
    raise AssertionError("the command of the workflow was to run in the place of this one")


class SubmitCommand(TyperCommand):
    """Runs, and describes, the command of the workflow that its arguments name."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        if any(word.partition("=")[0] == "--graph" for word in args):
            return _graph_command().make_context(info_name, args, parent=parent, **extra)
        try:
            words = Words(args)
            if words.workflow is None and words.prompt is None:
                return super().make_context(info_name, args, parent=parent, **extra)
            name = words.workflow or DEFAULT_WORKFLOW
            workflow = _fetched(server_of(parent, words.url), name, timeout_s=_timeout_s(extra))
        except CommandError:
            if not extra.get("resilient_parsing"):
                raise
            return super().make_context(info_name, args, parent=parent, **extra)
        command = _command_of(workflow, named=words.workflow)
        return command.make_context(f"{info_name} {name}", words.rest, parent=parent, **extra)


def _timeout_s(extra: Mapping[str, Any]) -> float | None:
    """Return for how long a server is waited for: a moment if TAB was pressed."""
    return PATIENCE_S if extra.get("resilient_parsing") else None


command = command_of(submit, cls=SubmitCommand)


def _fetched(server: Server, name: str, *, timeout_s: float | None = None) -> Json:
    client = ApiClient(server.url, credential=server.credential, timeout_s=timeout_s)
    try:
        return client.workflow(name)
    except Refused as refused:
        if refused.problem.get("code") != "workflow-not-found":
            raise
        detail = str(refused.problem.get("detail"))
        hint = "" if BROKEN in detail else "; a prompt of one word goes with --prompt"
        raise CannotStart(f"{name}: {detail}{hint}") from None
    finally:
        client.close()


def _command_of(workflow: Json, *, named: str | None) -> Any:
    """``submit`` with the workflow's own options."""
    taken = _flags(inspect.signature(submit).parameters)
    options = list(options_of(workflow["parameters"]["properties"], taken=taken))

    def request(client: ApiClient, given: Mapping[str, Any]) -> dict[str, Any]:
        values = values_of(options, given, lambda text: source_of(client, text))
        return values | ({} if named is None else {"workflow": named})

    about = f"{workflow['title']}. {workflow['description']}"
    return _command(request, [option.signature for option in options], about=about)


def _graph_command() -> Any:
    """``submit`` for a graph from a file."""

    def request(client: ApiClient, given: Mapping[str, Any]) -> dict[str, Any]:
        overrides = dict(override_of(each) for each in given["override"] or ())
        return {"graph": graph_in(given["graph"])} | ({"overrides": overrides} if overrides else {})

    return _command(request, GRAPH_OPTIONS, about="Submit a graph of your own.")


def _command(
    request: Callable[[ApiClient, Mapping[str, Any]], dict[str, Any]],
    options: Sequence[inspect.Parameter],
    *,
    about: str,
) -> Any:
    """Make a command of ``options`` before those that are for every request."""

    def run(ctx: typer.Context, **given: Any) -> None:
        client = client_at(ctx, given["url"])
        _submit(client, request(client, given) | _common(given), given)

    parameters = list(options)
    parameters += [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(submit).parameters.items()
        if name not in ALONE
    ]
    run.__doc__ = escape(about)
    run.__annotations__ |= {each.name: each.annotation for each in parameters}
    own = inspect.signature(run).parameters["ctx"]
    run.__signature__ = inspect.Signature([own, *parameters])  # type: ignore[attr-defined]
    return command_of(run)


def _flags(common: Mapping[str, inspect.Parameter]) -> set[str]:
    return {f"--{name.removeprefix('as_').replace('_', '-')}" for name in common} | {"--help"}


def _common(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of every request as far as they are given."""
    reuse: dict[str, Any] = {"reuse": True} if given["reuse"] else {}
    metadata = {"metadata": False} if given["no_metadata"] else {}
    priority = {} if given["priority"] is None else {"priority": given["priority"]}
    labels = labels_given(given["label"])
    webhook = webhook_given(given["webhook"], given["webhook_event"])
    return reuse | metadata | priority | webhook | ({"labels": labels} if labels else {})


def _submit(client: ApiClient, request: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    job = client.submit(request, idempotency_key=given["idempotency_key"])
    waits = given["out"] is not None if given["wait"] is None else given["wait"]
    print_submitted(job, as_json=given["as_json"], wait=waits)
    if waits:
        see_through(client, job, given["out"] or Path(), as_json=given["as_json"])
