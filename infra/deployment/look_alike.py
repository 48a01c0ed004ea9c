"""Deploying template.yaml to a look-alike of AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from comfyq.adapters.provisioning.template import load
from comfyq.bootstrap.clients import Clients
from comfyq.bootstrap.provisioning import provisioned
from comfyq.config import Backend, Settings, resources_of, variables_of
from infra.deployment.conditions import decided
from infra.deployment.deploy import Deployed, Lacking, deploy
from infra.deployment.expansion import expanded
from infra.deployment.mending import mend_bucket, mend_table
from infra.deployment.stack import CannotDeploy, Stack

AWS = "amazonaws.com"
STATE = {  # by setting, the resource that it names: without these no job can be kept
    "table": "Table",
    "queue_url": "JobsQueue",
    "dead_queue_url": "JobsDeadLetters",
    "submissions_queue_url": "SubmissionsQueue",
    "submissions_dead_queue_url": "SubmissionsDeadLetters",
    "bucket": "Bucket",
}


@dataclass(frozen=True, slots=True)
class Infra:
    """The resources of an endpoint, and the settings with which a worker uses them."""

    deployed: Deployed
    settings: Settings
    mended: Sequence[str] = ()  # what CloudFormation passed over, set afterwards
    without_stack: str | None = None  # why only table, queues and bucket were made
    exports: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "exports", _exports(self.settings))


def deploy_to_look_alike(
    settings: Settings, *, stack: str, tools: Path, state_only: bool = False
) -> Infra:
    """Deploy as much of the template as the endpoint of ``settings`` can make.

    That is the table, the queues and the bucket where it has no CloudFormation, or one that cannot
    make these, or ``state_only``. Doing it again changes nothing. Blocks for some seconds.

    Raises:
        CannotDeploy: no look-alike is named, nobody answers, or it refuses what it must have.
    """
    settings = replace(settings, backend=Backend.EMULATOR)
    _check_endpoint(settings)
    clients = Clients(settings)
    try:
        if state_only:
            return _state(settings, clients, why="as asked for")
        missing = _without_cloudformation(clients, stack)
        if missing is not None:
            return _state(settings, clients, why=missing)
        return _stack(settings, clients, stack, tools)
    except Lacking as lacking:
        return _state(settings, clients, why=str(lacking))
    except (BotoCoreError, ClientError) as failed:
        raise CannotDeploy(f"the endpoint does not do what is asked of it: {failed}") from failed


def _stack(settings: Settings, clients: Clients, name: str, tools: Path) -> Infra:
    def stack(suffix: str = "") -> Stack:
        return Stack(f"{name}{suffix}", client=clients.cloudformation(), s3=clients.s3())

    deployed = deploy(
        decided(expanded(settings.template, tools=tools)),
        stack(),
        lambda number: stack(f"-rehearsal-{number}"),
        needed=STATE.values(),
    )
    made: dict[str, Any] = {
        setting: deployed.made[name].physical_id for setting, name in STATE.items()
    }
    located = replace(settings, aws=replace(settings.aws, **made))
    return Infra(deployed, located, mended=_mended(located, clients))


def _state(settings: Settings, clients: Clients, *, why: str) -> Infra:
    located = provisioned(settings)
    return Infra(
        Deployed(changed=True), located, mended=_mended(located, clients), without_stack=why
    )


def _mended(settings: Settings, clients: Clients) -> Sequence[str]:
    template = load(settings.template)
    return [
        *mend_table(template, clients.dynamodb(), settings.aws.table),
        *mend_bucket(template, clients.s3(), settings.aws.bucket),
    ]


def _without_cloudformation(clients: Clients, stack: str) -> str | None:
    """Return why the endpoint has no CloudFormation; None if it has."""
    try:
        Stack(stack, client=clients.cloudformation(), s3=clients.s3()).status()
    except (BotoCoreError, ClientError) as missing:
        return f"the endpoint has no CloudFormation: {missing}"
    return None


def _check_endpoint(settings: Settings) -> None:
    if not settings.endpoints.are_complete:
        raise CannotDeploy(
            "no look-alike of AWS is named: set AWS_ENDPOINT_URL or LOCALSTACK_HOST, or give "
            "--endpoint-url. To AWS itself this does not deploy: docs/deploy.md tells how"
        )
    for url in variables_of(settings.endpoints).values():
        host = urlsplit(url).hostname or ""
        if host == AWS or host.endswith(f".{AWS}"):
            raise CannotDeploy(
                f"{host} is AWS itself, and this deploys to look-alikes alone: docs/deploy.md "
                "tells how to deploy to AWS"
            )


def _exports(settings: Settings) -> Mapping[str, str]:
    return {"COMFYQ_BACKEND": str(Backend.EMULATOR), **resources_of(settings)}
