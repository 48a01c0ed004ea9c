"""Functions of Lambda that write what they counted, as the settings want it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.bootstrap.lambdas.function import observed
from comfyq.config import MetricsSettings, Settings
from comfyq.telemetry.numbers import ACCEPTED
from tests.api_lab import ApiLab


def function(event: Mapping[str, Any], _: object) -> dict[str, Any]:
    ACCEPTED.add("sd15")
    if event:
        raise ZeroDivisionError
    return {}


@pytest.mark.parametrize("wanted", [True, False])
def test_each_event_writes_what_it_counted_even_if_it_fails(
    capsys: pytest.CaptureFixture[str], wanted: bool
) -> None:
    settings = Settings(metrics=MetricsSettings(metrics_emf=wanted))
    written = observed(function, settings, ApiLab().services.ports, service="f")
    written({}, None)
    capsys.readouterr()
    with pytest.raises(ZeroDivisionError):
        written({"a": 1}, None)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line["comfyq_jobs_accepted_total"] for line in lines if "workflow" in line]
    assert told == ([1] if wanted else [])
