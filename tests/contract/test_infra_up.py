"""Deploying through the CloudFormation of a look-alike that cannot make everything."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from comfyq.bootstrap.clients import Clients
from comfyq.cli.app import app
from comfyq.config import AwsEndpoints, Backend, Settings
from comfyq.local.emulator import Emulator
from infra.deployment.deploy import Deployed, Lacking, deploy
from infra.deployment.look_alike import deploy_to_look_alike
from infra.deployment.stack import CannotDeploy, Stack
from tests.fixtures.emulator import ENVIRONMENT, ROOT

SERVICES = ("dynamodb", "sqs", "s3", "cloudformation", "monitoring", "logs")
TOOLS = ROOT / ".infra"

QUEUE = {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain", "Properties": {}}
ALARM = {
    "AlarmDescription": {"Fn::Sub": "of ${Queue.Arn}"},
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 1,
    "Threshold": 1,
}
SUM = {"Id": "sum", "Expression": "1 + 1", "ReturnData": True}  # which no look-alike works out
PICKS = {"Assertions": [{"Assert": {"Fn::Equals": [{"Fn::Select": [0, ["a"]]}, "a"]}}]}
TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Queue": QUEUE,
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**ALARM, "Metrics": [SUM]}},
        "Composite": {
            "Type": "AWS::CloudWatch::Alarm",
            "DependsOn": "Alarm",
            "Properties": {**ALARM, "Namespace": "a", "MetricName": "b", "Period": 60},
        },
    },
    "Outputs": {"Url": {"Value": {"Ref": "Queue"}}},
}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    if not ENVIRONMENT.exists():
        pytest.skip("the emulator is not installed: run make emulator")
    with Emulator(environment=ENVIRONMENT, services=SERVICES) as running:
        yield Settings(backend=Backend.EMULATOR, endpoints=AwsEndpoints(url=running.url))


def deployed(settings: Settings, name: str, template: dict[str, Any], *needed: str) -> Deployed:
    clients = Clients(settings)

    def stack(name: str) -> Stack:
        return Stack(name, client=clients.cloudformation(), s3=clients.s3())

    rehearsals: list[Stack] = []

    def rehearsal(number: int) -> Stack:
        rehearsals.append(stack(f"{name}-rehearsal-{number}"))
        return rehearsals[-1]

    try:
        return deploy(template, stack(name), rehearsal, needed=needed)
    finally:
        for each in rehearsals:
            assert each.status() in (None, "DELETE_COMPLETE"), "a rehearsal is still there"


def queues(settings: Settings) -> list[str]:
    return Clients(settings).sqs().list_queues().get("QueueUrls", [])


def test_what_cannot_be_made_is_left_out_and_the_second_time_changes_nothing(
    settings: Settings,
) -> None:
    before = len(queues(settings))
    first = deployed(settings, "partly", TEMPLATE)
    assert first.changed
    assert set(first.made) == {"Queue"}
    assert "Metrics" in first.left_out["Alarm"]
    assert first.left_out["Composite"] == "needs Alarm"
    assert len(queues(settings)) == before + 1, "the rehearsal left a queue"
    again = deployed(settings, "partly", TEMPLATE)
    assert again == Deployed(changed=False, made=first.made, left_out=first.left_out)


def test_nothing_is_made_without_what_is_needed(settings: Settings) -> None:
    before = len(queues(settings))
    with pytest.raises(Lacking, match="cannot make what jobs need: Composite: needs Alarm"):
        deployed(settings, "needy", TEMPLATE, "Queue", "Composite")
    assert len(queues(settings)) == before


def test_another_template_updates_the_stack(settings: Settings) -> None:
    first = deployed(settings, "grows", {"Resources": {"Queue": QUEUE}})
    second = deployed(settings, "grows", {"Resources": {"Queue": QUEUE, "Second": QUEUE}})
    assert second.changed
    assert set(second.made) == {"Queue", "Second"}
    assert second.made["Queue"] == first.made["Queue"]


def test_a_template_that_is_refused_as_a_whole(settings: Settings) -> None:
    with pytest.raises(CannotDeploy, match="refuses the template"):
        deployed(settings, "wrong", {"Resources": {"Queue": QUEUE}, "Rules": {"Any": PICKS}})


def test_without_cloudformation_the_state_is_made(emulator: Emulator) -> None:
    plain = Settings(endpoints=AwsEndpoints(url=emulator.url))
    made = deploy_to_look_alike(plain, stack="plain", tools=TOOLS, state_only=True)
    assert made.deployed.made == {}
    assert made.without_stack is not None
    rules = (
        Clients(made.settings)
        .s3()
        .get_bucket_lifecycle_configuration(Bucket=made.exports["COMFYQ_BUCKET"])["Rules"]
    )
    assert {rule["ID"] for rule in rules} == {
        "deleted-objects",
        "pending-uploads",
        "unfinished-multiparts",
    }
    again = deploy_to_look_alike(plain, stack="plain", tools=TOOLS, state_only=True)
    assert (again.exports, list(again.mended)) == (made.exports, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no look-alike of AWS is named"),
        (("--endpoint-url", "https://sqs.eu-central-1.amazonaws.com"), "is AWS itself"),
        (("--endpoint-url", "http://127.0.0.1:9"), "Could not connect"),
    ],
)
def test_to_whom_nothing_is_deployed(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST"):
        monkeypatch.delenv(name, raising=False)
    ended = CliRunner().invoke(app, ["infra", "up", *options])
    assert ended.exit_code == 2
    assert message in ended.stderr
    if "Could not" not in message:
        assert "docs/deploy.md" in ended.stderr


@pytest.mark.verify
def test_the_project_is_deployed_as_far_as_it_goes(tmp_path: Path) -> None:
    """All of the front door but the alarm that works out a sum."""
    if not TOOLS.exists():
        pytest.skip("SAM's translator is not installed: run make infra-tools")
    services = (*SERVICES, "lambda", "iam", "sts", "apigateway", "scheduler")
    with Emulator(environment=ENVIRONMENT, services=services) as running:
        message = [
            json.loads(CliRunner().invoke(app, ["infra", "up", "--endpoint-url", running.url,
                                                "--json"]).stdout)
            for _ in range(2)
        ]  # fmt: skip
    assert [each["changed"] for each in message] == [True, False]
    assert set(message[0]["left_out"]) == {"NoLiveWorker"}
    assert len(message[0]["made"]) == 61
    assert message[0]["made"] == message[1]["made"]
    assert len(message[0]["mended"]) == 2
    assert message[1]["mended"] == []
