"""Where each of AWS's services is looked for."""

import pytest

from comfyq.adapters.provisioning.stack import CannotDeploy
from comfyq.bootstrap.aws import Clients
from comfyq.bootstrap.infra import deploy_to_look_alike
from comfyq.config import PROJECT, Backend, Settings

ALL = {
    "aws_endpoint_url_dynamodb": "http://127.0.0.1:1",
    "aws_endpoint_url_sqs": "http://127.0.0.1:2",
    "aws_endpoint_url_s3": "http://127.0.0.1:3",
}


def test_a_services_own_endpoint_comes_before_everybodys() -> None:
    settings = Settings(
        backend=Backend.EMULATOR,
        aws_endpoint_url="http://127.0.0.1:9",
        aws_endpoint_url_sqs="http://127.0.0.1:2",
    )
    clients = Clients(settings)
    assert clients.sqs().meta.endpoint_url == "http://127.0.0.1:2"
    assert clients.dynamodb().meta.endpoint_url == "http://127.0.0.1:9"


def test_they_are_read_from_the_names_that_aws_gave_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in ALL.items():
        monkeypatch.setenv(name.upper(), url)
    settings = Settings()
    assert settings.has_every_endpoint
    assert settings.endpoints == {name.upper(): url for name, url in ALL.items()}
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert not Settings().has_every_endpoint


def test_nothing_is_deployed_where_one_service_is_aws() -> None:
    for settings in (
        Settings(aws_endpoint_url_sqs="http://127.0.0.1:2"),
        Settings.model_validate({**ALL, "aws_endpoint_url_s3": "https://s3.amazonaws.com"}),
    ):
        with pytest.raises(CannotDeploy):
            deploy_to_look_alike(settings, stack="x", tools=PROJECT / ".infra", state_only=True)
