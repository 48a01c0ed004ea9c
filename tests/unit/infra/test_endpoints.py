"""Endpoints of each of AWS's services."""

import pytest

from comfyq.bootstrap.clients import Clients
from comfyq.config import PROJECT, AwsEndpoints, Backend, Settings, read_settings, variables_of
from infra.deployment.look_alike import deploy_to_look_alike
from infra.deployment.stack import CannotDeploy

ALL = {
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:2",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:3",
}


def test_a_services_own_endpoint_comes_before_everybodys() -> None:
    endpoints = AwsEndpoints(url="http://127.0.0.1:9", url_sqs="http://127.0.0.1:2")
    clients = Clients(Settings(backend=Backend.EMULATOR, endpoints=endpoints))
    assert clients.sqs().meta.endpoint_url == "http://127.0.0.1:2"
    assert clients.dynamodb().meta.endpoint_url == "http://127.0.0.1:9"


def test_they_are_read_from_the_names_that_aws_gave_them() -> None:
    endpoints = read_settings(ALL).endpoints
    assert endpoints.are_complete
    assert variables_of(endpoints) == ALL


@pytest.mark.parametrize("alone", ["AWS_ENDPOINT_URL", "LOCALSTACK_HOST"])
def test_one_name_is_enough_for_all_services(alone: str) -> None:
    assert read_settings({alone: "http://127.0.0.1:4"}).endpoints.are_complete


@pytest.mark.parametrize("missing", ALL)
def test_a_service_without_a_name_leaves_them_incomplete(missing: str) -> None:
    named = {name: url for name, url in ALL.items() if name != missing}
    assert not read_settings(named).endpoints.are_complete


def test_nothing_is_deployed_where_one_service_is_aws() -> None:
    for endpoints in (
        {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:2"},
        ALL | {"AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com"},
    ):
        with pytest.raises(CannotDeploy):
            deploy_to_look_alike(
                read_settings(endpoints), stack="x", tools=PROJECT / ".infra", state_only=True
            )
