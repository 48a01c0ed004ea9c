"""Where a browser finds outputs that are not in the data directory."""

import pytest

from comfyq.config import read_settings
from comfyq.local.browsers.storage_origins import storage_origins


@pytest.mark.parametrize(
    ("environment", "origins"),
    [
        ({}, []),
        ({"MINIO_ENDPOINT": "127.0.0.1:9000"}, ["http://127.0.0.1:9000"]),
        ({"MINIO_ENDPOINT": "files.lan", "MINIO_SECURE": "true"}, ["https://files.lan"]),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/x"}, []),
        (
            {"COMFYQ_BACKEND": "emulator", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/x"},
            ["http://127.0.0.1:4566"],
        ),
        ({"COMFYQ_BACKEND": "aws"}, []),
    ],
)
def test_outputs_come_from(environment: dict[str, str], origins: list[str]) -> None:
    assert list(storage_origins(read_settings(environment))) == origins
