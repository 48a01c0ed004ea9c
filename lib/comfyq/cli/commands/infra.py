"""``comfyq infra up``: what template.yaml describes, at a look-alike of AWS."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.config import PROJECT

DEPLOYMENT = "infra.deployment"  # a package of the checkout, beside template.yaml

EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A look-alike of AWS.  \\[env: AWS_ENDPOINT_URL]"),
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
    options = ["--stack", stack]
    options += [] if endpoint_url is None else ["--endpoint-url", endpoint_url]
    options += ["--state-only"] if state_only else []
    options += ["--json"] if as_json else []
    typer.echo(_deployed(options), nl=False)


def _deployed(options: Sequence[str]) -> str:
    """Run the deployment of the checkout, in which template.yaml and its tools are."""
    if not (PROJECT / DEPLOYMENT.replace(".", "/")).is_dir():
        raise CannotStart(
            "this deploys from a checkout of comfyq, and none is here: clone the project and run "
            "`comfyq infra up` in it"
        )
    command = [sys.executable, "-m", DEPLOYMENT, *options]
    deployed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if deployed.returncode:
        raise CannotStart(deployed.stderr.strip())
    return deployed.stdout
