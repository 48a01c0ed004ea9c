"""``comfyq tenants`` and ``comfyq audit`` on a data directory."""

import getpass
import json
from pathlib import Path
from socket import gethostname

from typer.testing import CliRunner, Result

from comfyq.cli.app import app


def run(data_dir: Path, *arguments: str) -> Result:
    environment = {"COMFYQ_DATA_DIR": str(data_dir), "COMFYQ_BACKEND": "embedded"}
    return CliRunner().invoke(app, arguments, env=environment)


def test_tenants_with_limits_are_listed_for_programs(data_dir: Path) -> None:
    listed = ("tenants", "list", "--json")
    assert json.loads(run(data_dir, *listed).stdout) == {"tenants": []}
    for tenant in ("team-a", "team-b"):
        run(data_dir, "tenants", "limit", tenant, "--jobs-per-day", "5")
    tenants = json.loads(run(data_dir, *listed).stdout)["tenants"]
    assert [(each["tenant"], each["limits"]["jobs_per_day"]) for each in tenants] == [
        ("team-a", 5),
        ("team-b", 5),
    ]


def test_the_retention_of_a_tenant(data_dir: Path) -> None:
    assert "kept for 30d" in run(data_dir, "tenants", "show", "team-a").stdout
    kept = json.loads(run(data_dir, "tenants", "retention", "team-a", "90d", "--json").stdout)
    assert (kept["retention_s"], kept["retention_is_own"]) == (90 * 86_400, True)
    assert "kept for 90d" in run(data_dir, "tenants", "show", "team-a").stdout
    assert "kept for 30d" in run(data_dir, "tenants", "show", "team-b").stdout
    assert "kept for 30d" in run(data_dir, "tenants", "retention", "team-a", "default").stdout
    run(data_dir, "tenants", "limit", "team-a", "--jobs-per-day", "5")
    assert "team-a  jobs per day 5\n" in run(data_dir, "tenants", "show", "team-a").stdout
    shown = json.loads(run(data_dir, "tenants", "show", "team-a", "--json").stdout)
    assert (shown["limits"]["jobs_per_day"], shown["retention_s"]) == (5, 30 * 86_400)
    for wrong in (("team-a", "soon"), ("team-a", "1s"), ("a b", "1d")):
        assert run(data_dir, "tenants", "retention", *wrong).exit_code == 2


def test_what_the_command_line_does_to_a_table_is_noted(data_dir: Path) -> None:
    created = json.loads(run(data_dir, "keys", "create", "ci", "--tenant", "a", "--json").stdout)
    run(data_dir, "keys", "revoke", created["id"])
    run(data_dir, "tenants", "retention", "a", "90d")
    run(data_dir, "tenants", "limit", "a", "--jobs-per-day", "5", "--reset")
    log = json.loads(run(data_dir, "audit", "--tenant", "a", "--json").stdout)
    assert log["entries"][0]["details"] == {"jobs_per_day": "5", "reset": "all others"}
    assert [each["action"] for each in log["entries"]] == [
        "limits-changed",
        "retention-changed",
        "key-revoked",
        "key-created",
    ]
    who = {(each["who"], each["address"]) for each in log["entries"]}
    assert who == {(f"user {getpass.getuser()}", gethostname())}
    first = run(data_dir, "audit", "--tenant", "a", "--limit", "3")
    assert "key-revoked" in first.stdout
    cursor = first.stdout.strip().rpartition(" ")[2]
    rest = run(data_dir, "audit", "--tenant", "a", "--cursor", cursor)
    assert f"key-created  {created['id']}  by user" in rest.stdout
    assert len(rest.stdout.splitlines()) == 1
    assert run(data_dir, "audit", "--cursor", "x").exit_code == 2
    assert run(data_dir, "audit").stdout == ""


def test_the_data_of_a_tenant_is_deleted_once_it_is_meant(data_dir: Path) -> None:
    asked = ("tenants", "delete-data", "a")
    refused = run(data_dir, *asked)  # nobody answers
    assert refused.exit_code == 1
    shown = json.loads(run(data_dir, "tenants", "show", "a", "--json").stdout)
    assert shown["data"]["status"] == "none"
    begun = json.loads(run(data_dir, *asked, "--yes", "--json").stdout)
    assert (begun["tenant"], begun["status"]) == ("a", "running")
    again = run(data_dir, *asked, "--yes").stdout
    assert f"all data is being deleted since {begun['begun_at']} (nothing yet)" in again
    assert again.splitlines()[0] in run(data_dir, "tenants", "show", "a").stdout
    assert "being deleted" not in run(data_dir, "tenants", "show", "b").stdout
    log = json.loads(run(data_dir, "audit", "--tenant", "a", "--json").stdout)
    assert [each["action"] for each in log["entries"]] == ["data-deletion-begun"]
    assert run(data_dir, "tenants", "delete-data", "a#b", "--yes").exit_code == 2
