"""``comfyq keys`` on a data directory, and the key that commands send."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from comfyq.domain.api_key import KEY
from tests.fake_api import JOB, FakeApi, fake_api


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(data_dir: Path, *arguments: str) -> Result:
    environment = {"COMFYQ_DATA_DIR": str(data_dir), "COMFYQ_BACKEND": "embedded"}
    return CliRunner().invoke(app, ["keys", *arguments], env=environment)


def test_a_key_is_made_before_anything_runs_and_printed_alone(data_dir: Path) -> None:
    made = run(data_dir, "create", "laptop")
    assert made.exit_code == 0, made.output
    assert KEY.fullmatch(made.stdout.strip())
    assert "laptop  tenant default  cancel,graph,read,submit,wait  expires never" in made.stderr
    assert data_dir.stat().st_mode & 0o777 == 0o700


def test_keys_are_made_listed_and_revoked(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--tenant", "team-a", "--scope", "read", "--scope", "admin", "--expires", "90d")
    made = json.loads(run(data_dir, "create", "ci", *options, "--json").stdout)
    assert (made["tenant"], made["scopes"]) == ("team-a", ["admin", "read"])
    assert made["expires_at"] is not None
    run(data_dir, "create", "laptop")
    [of_team] = json.loads(run(data_dir, "list", "--tenant", "team-a", "--json").stdout)["keys"]
    assert of_team == {name: made[name] for name in made if name != "key"}
    assert made["key"][-64:] not in run(data_dir, "list").output
    assert len(run(data_dir, "list").stdout.splitlines()) == 2

    later = datetime.fromisoformat(made["expires_at"]).timestamp()
    monkeypatch.setattr("comfyq.cli.values.spans.time.time", lambda: later)
    said = {line.split()[1]: line for line in run(data_dir, "list").stdout.splitlines()}
    assert {name: "(expired)" in line for name, line in said.items()} == {
        "ci": True,
        "laptop": False,
    }

    revoked = run(data_dir, "revoke", made["id"])
    assert (revoked.exit_code, revoked.stdout.split()[:2]) == (0, ["revoked", made["id"]])
    assert len(run(data_dir, "list").stdout.splitlines()) == 1
    again = run(data_dir, "revoke", made["id"])
    assert again.exit_code == 2


def test_without_keys_the_list_says_how_to_make_one(data_dir: Path) -> None:
    made = json.loads(run(data_dir, "create", "laptop", "--json").stdout)
    run(data_dir, "revoke", made["id"])
    listed = run(data_dir, "list")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "comfyq keys create NAME" in listed.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("a", "--tenant", "a#b"), "is no tenant"),
        (("a", "--tenant", ""), "is no tenant"),
        (("a", "--expires", "soon"), "write 90d, 12h, 30m or 2w"),
        (("a", "--expires", "0d"), "write 90d, 12h, 30m or 2w"),
        (("a", "--expires", "999999w"), "the most is 3660d"),
        (("a\nb",), "printable"),
        (("",), "printable"),
        (("a", "--scope", "everything"), "everything"),
    ],
)
def test_what_makes_no_key_is_said(data_dir: Path, options: tuple[str, ...], reason: str) -> None:
    made = run(data_dir, "create", *options)
    assert made.exit_code == 2
    assert made.stdout == ""
    assert not data_dir.exists()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


def test_commands_send_the_key_to_the_server_and_not_to_links(api: FakeApi, tmp_path: Path) -> None:
    content = b"pixels"
    output = api.output(content, blake3="")
    api.workflow()
    api.answer("/generate", api.job(), status=202)
    api.answer(f"/generate/{JOB}", api.job(status="completed", seq=4, outputs=[output]))
    arguments = ["--url", api.url, "submit", "a fox", "--wait", "--out", str(tmp_path)]
    CliRunner().invoke(app, arguments, env={"COMFYQ_API_KEY": "cq_a_b"})
    sent = {path.partition("?")[0]: dict(headers) for _, path, headers, _ in api.requests}
    assert {"/generate", f"/generate/{JOB}", "/workflows/flux-dev", "/picture"} <= sent.keys()
    assert "Authorization" not in sent.pop("/picture")
    assert {headers.get("Authorization") for headers in sent.values()} == {"Bearer cq_a_b"}


def test_a_check_without_an_administrators_key_says_what_it_could_not_see(api: FakeApi) -> None:
    health = {"version": "1", "status": "healthy", "reason": "", "workers": [], "simulated": False}
    api.answer("/health", health)
    problem = {"status": 401, "code": "unauthenticated", "detail": "send an API key"}
    api.answer("/dead", problem, status=401)
    checked = CliRunner().invoke(app, ["--url", api.url, "infra", "check", "--json"])
    findings = {each["subject"]: each for each in json.loads(checked.stdout)}
    assert "asks for an API key" in findings["dead letters"]["told"]
    assert "COMFYQ_API_KEY" in findings["dead letters"]["remedy"]


@pytest.mark.parametrize(("key", "told"), [(None, "asks for an API key"), ("cq_a_b", "is unknown")])
def test_who_is_not_let_in_is_told_how_commands_are_given_a_key(
    api: FakeApi, key: str | None, told: str
) -> None:
    detail = "send an API key as `Authorization: Bearer KEY`" if key is None else "it is unknown"
    api.answer("/generate", {"code": "unauthenticated", "detail": detail}, status=401)
    refused = CliRunner().invoke(app, ["--url", api.url, "list"], env={"COMFYQ_API_KEY": key})
    assert refused.exit_code == 2
    for each in (told, "401", "COMFYQ_API_KEY", "--api-key", "comfyq profiles add"):
        assert each in refused.stderr
    assert "Authorization" not in refused.stderr


def test_where_nobody_listens_commands_say_what_starts_or_names_a_server() -> None:
    away = CliRunner().invoke(app, ["--url", "http://127.0.0.1:1", "list"])
    assert away.exit_code == 3
    for told in ("nobody listens there", "`comfyq up`", "--url", "COMFYQ_URL", "--profile"):
        assert told in away.stderr
    assert "Errno" not in away.stderr
