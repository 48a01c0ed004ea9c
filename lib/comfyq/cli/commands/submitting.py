"""``comfyq submit``: each workflow's parameters are its options, as the server tells them."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.commands.uploading import source_of
from comfyq.cli.errors import CannotStart, Refused
from comfyq.cli.lazy import command_of
from comfyq.cli.options import AsJson, Url
from comfyq.cli.outcome import print_submitted, see_through
from comfyq.cli.submission_words import Words
from comfyq.cli.workflow_options import WorkflowOption, options_of, values_of

DEFAULT_WORKFLOW = "flux-dev"


def submit(
    ctx: typer.Context,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="Its name; or a prompt of several words, for flux-dev."
        ),
    ],
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again gives the first answer.")
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take an earlier job's outputs; name the seed.")
    ] = False,
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="Do not tell in files how they were made.")
    ] = False,
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
        words = Words(args)
        if words.workflow is None and words.prompt is None:
            return super().make_context(info_name, args, parent=parent, **extra)
        name = words.workflow or DEFAULT_WORKFLOW
        command = _command_of(_fetched(words.url or parent.obj, name), named=words.workflow)
        return command.make_context(f"{info_name} {name}", words.rest, parent=parent, **extra)


command = command_of(submit, cls=SubmitCommand)


def _fetched(url: str, name: str) -> Json:
    client = ApiClient(url)
    try:
        return client.workflow(name)
    except Refused as refused:
        if refused.problem.get("code") != "workflow-not-found":
            raise
        raise CannotStart(
            f"{name}: {refused.problem.get('detail')}; a prompt of one word goes with --prompt"
        ) from None
    finally:
        client.close()


def _command_of(workflow: Json, *, named: str | None) -> Any:
    """``submit`` with the workflow's own options before those that are for every one."""
    common = inspect.signature(submit).parameters
    options = list(options_of(workflow["parameters"]["properties"], taken=_flags(common)))

    def run(ctx: typer.Context, **given: Any) -> None:
        client = client_at(ctx, given["url"])
        _submit(client, _request(client, options, given) | _naming(named), given)

    parameters = [option.signature for option in options]
    parameters += [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in common.items()
        if name not in ("ctx", "workflow")
    ]
    run.__doc__ = f"{workflow['title']}. {workflow['description']}"
    run.__annotations__ |= {each.name: each.annotation for each in parameters}
    own = inspect.signature(run).parameters["ctx"]
    run.__signature__ = inspect.Signature([own, *parameters])  # type: ignore[attr-defined]
    return command_of(run)


def _flags(common: Mapping[str, inspect.Parameter]) -> set[str]:
    return {f"--{name.removeprefix('as_').replace('_', '-')}" for name in common} | {"--help"}


def _naming(workflow: str | None) -> dict[str, str]:
    return {} if workflow is None else {"workflow": workflow}


def _request(
    client: ApiClient, options: Sequence[WorkflowOption], given: Mapping[str, Any]
) -> dict[str, Any]:
    values = values_of(options, given, lambda text: source_of(client, text))
    reuse = {"reuse": True} if given["reuse"] else {}
    metadata = {"metadata": False} if given["no_metadata"] else {}
    return values | reuse | metadata


def _submit(client: ApiClient, request: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    job = client.submit(request, idempotency_key=given["idempotency_key"])
    waits = given["out"] is not None if given["wait"] is None else given["wait"]
    print_submitted(job, as_json=given["as_json"], wait=waits)
    if waits:
        see_through(client, job, given["out"] or Path(), as_json=given["as_json"])
