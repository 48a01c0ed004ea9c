"""The deployed template at the emulator: what it says of its functions and of who calls them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.aws_local.sandbox import REGION, Spec
from infra.aws_local.sources import QueueSource
from infra.deployment.look_alike import Infra

if TYPE_CHECKING:
    import boto3

SERVICES = (
    *("dynamodb", "sqs", "s3", "cloudformation", "lambda", "iam", "sts"),
    *("apigateway", "scheduler", "logs", "monitoring"),
)
ROUTES = {"$connect", "$disconnect", "$default", "subscribe", "unsubscribe"}
HOST = re.compile(r"(https|wss)://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com")
SCHEMES = {"https": "http", "wss": "ws"}


class WrongDeployment(Exception):
    """The message says what of the deployment cannot be run."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """The deployed parts; functions by their logical ids."""

    functions: Mapping[str, Spec]
    queues: Mapping[str, list[QueueSource]]  # by function
    schedules: Mapping[str, str]  # expression by function
    http_api: str  # their ids
    websocket_api: str
    stage: str


def read_cloud(infra: Infra, session: "boto3.Session", *, front: str) -> Cloud:
    """Read a deployment; ``front`` is the host:port that stands for the hosts of both APIs.

    The emulator's own event sources are turned off: it cannot run images.

    Raises:
        WrongDeployment: a function's environment names an API that there is not, or routes lack.
    """
    ids = {name: made.physical_id for name, made in infra.deployed.made.items()}
    reader = _Reader(ids, session, infra.settings.endpoints.url)
    apis = {ids["HttpApi"], ids["WebSocketApi"]}
    return Cloud(
        functions={
            made.id: reader.function(made.id, made.physical_id, apis=apis, front=front)
            for made in infra.deployed.made.values()
            if made.type == "AWS::Lambda::Function"
        },
        queues=reader.queues(),
        schedules=reader.schedules(),
        http_api=ids["HttpApi"],
        websocket_api=ids["WebSocketApi"],
        stage=reader.stage(ids["WebSocketApi"]),
    )


def localized(name: str, value: str, *, apis: set[str], front: str) -> str:
    """A setting whose host leads to this machine, as a name server would do it."""

    def here(found: re.Match[str]) -> str:
        if found[2] not in apis:
            raise WrongDeployment(f"{name} is {value}, and there is no API {found[2]}")
        return f"{SCHEMES[found[1]]}://{front}"

    return HOST.sub(here, value)


class _Reader:
    def __init__(self, ids: Mapping[str, str], session: "boto3.Session", url: str | None) -> None:
        self._names = {physical: name for name, physical in ids.items()}
        self._lambda = session.client("lambda", endpoint_url=url)
        self._scheduler = session.client("scheduler", endpoint_url=url)
        self._sqs = session.client("sqs", endpoint_url=url)
        self._apis: Any = session.client("apigatewayv2", endpoint_url=url)

    def function(self, name: str, physical: str, *, apis: set[str], front: str) -> Spec:
        found: Any = self._lambda.get_function_configuration(FunctionName=physical)
        [command] = found["ImageConfigResponse"]["ImageConfig"]["Command"]
        variables = found["Environment"]["Variables"]
        return Spec(
            name=name,
            arn=found["FunctionArn"],
            command=command,
            environment={
                key: localized(f"{name}: {key}", value, apis=apis, front=front)
                for key, value in variables.items()
            },
            timeout_s=found["Timeout"],
            memory_mb=found["MemorySize"],
        )

    def queues(self) -> Mapping[str, list[QueueSource]]:
        found: dict[str, list[QueueSource]] = {}
        for mapping in self._lambda.list_event_source_mappings()["EventSourceMappings"]:
            self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
            arn = mapping["EventSourceArn"]
            source = QueueSource(
                queue_url=self._sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"],
                queue_arn=arn,
                batch_size=mapping["BatchSize"],
                partial="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
            )
            found.setdefault(self._called(mapping["FunctionArn"]), []).append(source)
        return found

    def schedules(self) -> Mapping[str, str]:
        named = [each["Name"] for each in self._scheduler.list_schedules()["Schedules"]]
        found = [self._scheduler.get_schedule(Name=name) for name in named]
        return {self._called(each["Target"]["Arn"]): each["ScheduleExpression"] for each in found}

    def stage(self, api_id: str) -> str:
        routes = {route["RouteKey"] for route in self._apis.get_routes(ApiId=api_id)["Items"]}
        if routes != ROUTES:
            raise WrongDeployment(f"the routes of the WebSocket API are {sorted(routes)}")
        [stage] = self._apis.get_stages(ApiId=api_id)["Items"]
        name: str = stage["StageName"]
        return name

    def _called(self, arn: str) -> str:
        """The function of an ARN, by its logical id."""
        return self._names[arn.rpartition(":")[2]]


def surroundings(endpoint: str, certificate: Path, workflows: Path) -> Mapping[str, str]:
    """Return the environment that stands for role, endpoints and the image's settings on AWS."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CA_BUNDLE": str(certificate),
        "COMFYQ_WORKFLOWS_DIR": str(workflows.resolve()),
    }
