"""``comfyq webhooks`` on a data directory."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from tests.receiver import ALLOWED, receiving


def run(data_dir: Path, *arguments: str, **environment: str) -> Result:
    settings = {"COMFYQ_DATA_DIR": str(data_dir), "COMFYQ_BACKEND": "embedded"}
    return CliRunner().invoke(app, ["webhooks", *arguments], env=settings | environment)


def shown(data_dir: Path, *arguments: str) -> dict[str, Any]:
    result = run(data_dir, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_default_is_each_tenants_own(data_dir: Path) -> None:
    url = "https://receiver.example/hook?token=hidden"
    stored = run(data_dir, "set", url, "--event", "completed", "--tenant", "team-a")
    assert stored.stdout == "https://receiver.example/hook?…  completed\n"
    assert shown(data_dir, "show", "--tenant", "team-a")["events"] == ["completed"]
    assert "nobody" in run(data_dir, "show").stdout
    assert shown(data_dir, "delete", "--tenant", "team-a")["url"] is None
    refused = run(data_dir, "set", "https://user:hidden@receiver.example/")
    assert refused.exit_code == 2
    assert "hidden" not in refused.output


def test_secrets_rotate(data_dir: Path) -> None:
    old = run(data_dir, "secret").stdout.strip()
    assert old.startswith("whsec_")
    new = shown(data_dir, "rotate")
    assert new["earlier_secret"] == old
    assert shown(data_dir, "secret") == new


def test_the_default_is_tried_out(data_dir: Path) -> None:
    assert run(data_dir, "test").exit_code == 2
    with receiving() as receiver:
        refused = run(data_dir, "set", receiver.url)
        run(data_dir, "set", receiver.url, **ALLOWED)
        forbidden = run(data_dir, "test")
        arrived = run(data_dir, "test", **ALLOWED)
    [received] = receiver.received
    assert received.event["type"] == "webhook.test"
    assert refused.exit_code == 2
    assert "COMFYQ_WEBHOOK_ALLOW" in refused.output
    assert "hidden" not in refused.output
    assert forbidden.exit_code == 1
    assert "not in the public internet" in forbidden.output
    assert (arrived.exit_code, "204" in arrived.stdout) == (0, True)
