"""``comfyq infra up``: what template.yaml describes, at a look-alike of AWS."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from comfyq.bootstrap.infra import CannotDeploy, Infra, deploy_to_look_alike
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.cli.starting import settings_with
from comfyq.config import PROJECT

EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A look-alike of AWS.  [env: AWS_ENDPOINT_URL]"),
]


def up(
    endpoint_url: EndpointUrl = None,
    stack: Annotated[str, typer.Option(help="Its stack's name.")] = "comfyq",
    state_only: Annotated[
        bool, typer.Option("--state-only", help="Table, queues and bucket, without CloudFormation.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy template.yaml to a look-alike of AWS, as far as it goes. Again: no change.

    What the look-alike cannot make is left out and named. For AWS itself see docs/deploy.md.
    """
    settings = settings_with(AWS_ENDPOINT_URL=endpoint_url)
    try:
        made = deploy_to_look_alike(
            settings, stack=stack, tools=PROJECT / ".infra", state_only=state_only
        )
    except CannotDeploy as refused:
        raise CannotStart(str(refused)) from None
    if as_json:
        typer.echo(json.dumps(_plain(made)))
    else:
        _print(made)


def _plain(made: Infra) -> dict[str, object]:
    return {
        "changed": made.deployed.changed,
        "made": {name: asdict(each) for name, each in made.deployed.made.items()},
        "left_out": dict(made.deployed.left_out),
        "mended": list(made.mended),
        "without_stack": made.without_stack,
        "exports": dict(made.exports),
    }


def _print(made: Infra) -> None:
    deployed = made.deployed
    for name, each in sorted(deployed.made.items()):
        typer.echo(f"  {name:34} {each.type:34} {each.physical_id}")
    for name, reason in sorted(deployed.left_out.items()):
        typer.echo(f"  {name:34} LEFT OUT: {reason}")
    for told in made.mended:
        typer.echo(f"  {told}: done by the service's own call")
    if made.without_stack is not None:
        typer.echo(f"only table, queues and bucket: {made.without_stack}")
    else:
        state = "made" if deployed.changed else "unchanged"
        typer.echo(f"{state}: {len(deployed.made)} resources, {len(deployed.left_out)} left out")
    for name, value in made.exports.items():
        typer.echo(f"export {name}='{value}'")
