"""``comfyq quota``, and ``comfyq tenants`` on a data directory."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from comfyq.cli.client import Json
from tests.fake_api import fake_api

DAY: Json = {"limit": 9, "used": 4, "ends_at": "2026-01-02T00:00:00.000Z"}
QUOTA = {
    "tenant": "acme",
    "requests": [{"of": "key", "limit": 60, "window_s": 60, "remaining": 42, "full_in_s": 18}],
    "jobs_per_day": DAY,
    "waiting_jobs": {"limit": 10, "used": 3},
    "stored_bytes": {"limit": 1000, "used": 5},
}


def run(tmp_path: Path, *arguments: str) -> Result:
    environment = {"COMFYQ_DATA_DIR": str(tmp_path / "data"), "COMFYQ_BACKEND": "embedded"}
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_a_quota_is_shown(tmp_path: Path) -> None:
    with fake_api() as api:
        free = QUOTA | {"requests": [], "jobs_per_day": DAY | {"limit": None, "used": None}}
        api.answer("/quota", QUOTA, QUOTA, free)
        shown = run(tmp_path, "quota", "--url", api.url)
        assert shown.exit_code == 0, shown.output
        assert shown.stdout.splitlines() == [
            "tenant acme",
            "  requests a minute of the key: 42 of 60 left, all again in 18 s",
            "  jobs of this day: 4 of 9, until 2026-01-02T00:00:00.000Z",
            "  waiting jobs: 3 of 10",
            "  stored bytes: 5 of 1000",
        ]
        assert json.loads(run(tmp_path, "quota", "--url", api.url, "--json").stdout) == QUOTA
        assert run(tmp_path, "quota", "--url", api.url).stdout.count("as many as you like") == 2


@pytest.mark.usefixtures("data_dir")
def test_tenants_get_limits_of_their_own(tmp_path: Path) -> None:
    none = run(tmp_path, "tenants", "list")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "comfyq tenants limit" in none.stderr
    run(tmp_path, "tenants", "limit", "acme", "--jobs-per-day", "5")
    made = run(tmp_path, "tenants", "limit", "acme", "--requests-per-minute", "60")
    assert made.stdout == "acme  requests per minute 60, jobs per day 5\n"
    assert run(tmp_path, "tenants", "list").stdout == made.stdout
    reset = run(tmp_path, "tenants", "limit", "acme", "--reset", "--waiting-jobs", "7", "--json")
    assert json.loads(reset.stdout)["limits"] == {
        "requests_per_minute": None,
        "jobs_per_day": None,
        "waiting_jobs": 7,
        "stored_bytes": None,
        "output_bytes": None,
        "running_jobs": None,
    }
    assert run(tmp_path, "tenants", "limit", "acme", "--reset").stdout == (
        "acme  as the settings say\n"
    )
    assert run(tmp_path, "tenants", "list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("a#b", "--jobs-per-day", "5"), "is no tenant"),
        (("acme",), "name a limit"),
        (("acme", "--jobs-per-day", "0"), "--jobs-per-day"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    refused = run(tmp_path, "tenants", "limit", *arguments)
    assert refused.exit_code == 2
    assert reason in refused.output
