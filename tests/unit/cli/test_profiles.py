"""``comfyq profiles``, and which server and key commands take."""

import json
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from comfyq.cli.errors import CannotStart
from comfyq.cli.profiles import token_command
from comfyq.cli.profiles.profile_file import Profile, Profiles, read_profiles, write_profiles
from comfyq.cli.profiles.token_command import FRESH_S, TokenCommand
from tests.fake_api import FakeApi, fake_api

KEY = "cq_a_b"
URL = "https://gpu.example"


@dataclass
class Home:
    """A folder of configuration, and commands that have it."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "comfyq" / "profiles.toml"

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> Result:
        given = {"XDG_CONFIG_HOME": str(self.folder), **env}
        return CliRunner().invoke(app, arguments, input=stdin, env=given)

    def done(self, *arguments: str, stdin: str = "", **env: str) -> str:
        result = self(*arguments, stdin=stdin, **env)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, **env: str) -> str:
        result = self(*arguments, **env)
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        return result.stderr


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "config")


# --- the commands


def test_profiles_are_added_listed_used_and_removed(home: Home) -> None:
    assert "no profiles" in home("profiles", "list").stderr
    home.done("profiles", "add", "lab", "--url", URL, "--api-key", KEY)
    home.done("profiles", "add", "cloud", "--url", "http://b:8000/", "--token-command", "echo x")
    home.done("profiles", "add", "plain", "--url", "gpu-host:8000")
    text = home.done("profiles", "list")
    assert text.splitlines() == [
        f"* lab  {URL}  a key",
        "  cloud  http://b:8000  a token of `echo x`",
        "  plain  http://gpu-host:8000  no key",
    ]
    shown = json.loads(home.done("profiles", "list", "--json"))["profiles"]
    assert shown[0] == {"name": "lab", "url": URL, "shows": "key", "used": True}
    assert [each["shows"] for each in shown] == ["key", "token", None]
    assert KEY not in text + json.dumps(shown)
    assert home.done("profiles", "use", "cloud").startswith("* cloud")
    home.done("profiles", "remove", "cloud")
    left = json.loads(home.done("profiles", "list", "--json"))["profiles"]
    assert [(each["name"], each["used"]) for each in left] == [("lab", False), ("plain", False)]
    for command in ("use", "remove"):
        assert "there are lab, plain" in home.refused("profiles", command, "cloud")


def test_the_file_is_its_owners_alone(home: Home) -> None:
    home.done("profiles", "add", "lab", "--url", URL, "--api-key", KEY)
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.file.parent.stat().st_mode) == 0o700
    assert [each.name for each in home.file.parent.iterdir()] == [home.file.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_with_keys_that_others_read_is_refused(home: Home, mode: int) -> None:
    home.done("profiles", "add", "lab", "--url", URL, "--api-key", KEY)
    home.file.chmod(mode)
    for command in (("profiles", "list"), ("list",), ("--profile", "lab", "list")):
        assert f"chmod 600 {home.file}" in home.refused(*command)
    assert KEY not in home("list").output


@pytest.mark.parametrize(("mode", "refused"), [(0o644, False), (0o664, True), (0o646, True)])
def test_a_file_with_commands_may_be_read_and_not_written_by_others(
    home: Home, mode: int, refused: bool
) -> None:
    home.done("profiles", "add", "lab", "--url", URL, "--token-command", "echo x")
    home.file.chmod(mode)
    assert (home("profiles", "list").exit_code == 2) == refused


def test_a_key_is_read_from_a_pipe(home: Home) -> None:
    home.done("profiles", "add", "lab", "--url", URL, "--api-key", "-", stdin=f"{KEY}\n")
    assert read_profiles(home.file).get("lab").api_key == KEY


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("a b", "--url", URL), "a profile's name"),
        (("", "--url", URL), "a profile's name"),
        (("../a", "--url", URL), "a profile's name"),
        (("a", "--url", "ftp://x"), "no URL"),
        (("a", "--url", "http://"), "no URL"),
        (("a", "--url", "http://x\n"), "no URL"),
        (("a", "--url", URL, "--api-key", ""), "a key has no spaces"),
        (("a", "--url", URL, "--api-key", "a b"), "a key has no spaces"),
        (("a", "--url", URL, "--api-key", "é"), "a key has no spaces"),
        (("a", "--url", URL, "--api-key", "a", "--token-command", "b"), "leave one out"),
        (("a",), "--url"),
    ],
)
def test_what_makes_no_profile_is_said(home: Home, options: tuple[str, ...], reason: str) -> None:
    assert reason in home.refused("profiles", "add", *options)
    assert not home.file.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("use = 5", "`use` is a name"),
        ("profiles = 5", "`use` is a name"),
        ("[profiles]\na = 5", "[profiles.a] has texts"),
        ("[profiles.a]\nurl = 5", "[profiles.a] has texts"),
        ("[profiles.a]\nkey = 'x'", "[profiles.a] has texts"),
        ("[profiles.a]\napi_key = 'x'", "[profiles.a] needs a url"),
        ("[profiles.a]\nurl = 'http://a'\napi_key = 'x'\ntoken_command = 'y'", "has both"),
        ("[profiles.a]\nurl = 'x://'", "no URL"),
        ("[profiles", "cannot be read"),
        ("use = 'b'\n[profiles.a]\nurl = 'http://a'", "there is no profile 'b'; there are a"),
    ],
)
def test_a_broken_file_is_named(home: Home, text: str, reason: str) -> None:
    home.file.parent.mkdir(parents=True)
    home.file.write_text(text)
    home.file.chmod(0o600)
    assert reason in home.refused("list")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file, target = tmp_path / "linked", tmp_path / "kept" / "file"
    target.parent.mkdir()
    file.symlink_to(target)
    command = "print 'a \"token\"' \\ \N{SNOWMAN} \N{GRINNING FACE}"
    profiles = Profiles(
        used="a.b",
        all={"a.b": Profile(url=URL, token_command=command), "c": Profile(url=URL, api_key=KEY)},
    )
    write_profiles(file, profiles)
    assert read_profiles(file) == profiles
    assert file.is_symlink()


def test_a_home_without_xdg(tmp_path: Path) -> None:
    for xdg in ("", "relative"):
        made = CliRunner().invoke(
            app,
            ["profiles", "add", "lab", "--url", URL],
            env={"XDG_CONFIG_HOME": xdg, "HOME": str(tmp_path)},
        )
        assert made.exit_code == 0, made.output
        file = tmp_path / ".config/comfyq/profiles.toml"
        assert file.exists()
        file.unlink()


# --- which server and key


@pytest.fixture
def apis() -> Iterator[tuple[FakeApi, FakeApi]]:
    with ExitStack() as stack:
        both = stack.enter_context(fake_api()), stack.enter_context(fake_api())
        for api in both:
            api.answer("/generate", {"jobs": [], "next_cursor": None})
        yield both


def asked(apis: tuple[FakeApi, FakeApi]) -> tuple[int, str | None]:
    """Return which of the servers was asked, and what it was shown."""
    [(index, (_, _, headers, _))] = [
        (index, request) for index, api in enumerate(apis) for request in api.requests
    ]
    for api in apis:
        api.requests.clear()
    shown = headers.get("Authorization")
    return index, shown and shown.removeprefix("Bearer ")


FIRST, SECOND = 0, 1


@pytest.mark.parametrize(
    ("before", "after", "env", "server", "key"),
    [
        ((), (), {}, FIRST, "of-first"),  # the one that is used
        ((), (), {"COMFYQ_PROFILE": "second"}, SECOND, "of-second"),
        (("--profile", "second"), (), {}, SECOND, "of-second"),
        (("--profile", "second"), (), {"COMFYQ_PROFILE": "first"}, SECOND, "of-second"),
        # a variable goes before the profile that is used, which shows its key to its own alone
        ((), (), {"COMFYQ_URL": "second"}, SECOND, None),
        ((), (), {"COMFYQ_URL": "first"}, FIRST, "of-first"),
        ((), (), {"COMFYQ_API_KEY": "word"}, FIRST, "word"),
        ((), (), {"COMFYQ_URL": "second", "COMFYQ_API_KEY": "word"}, SECOND, "word"),
        ((), (), {"COMFYQ_URL": "second", "COMFYQ_PROFILE": "first"}, SECOND, None),
        ((), (), {"COMFYQ_PROFILE": "second", "COMFYQ_API_KEY": "word"}, SECOND, "word"),
        # an option goes before variables
        (("--profile", "second"), (), {"COMFYQ_URL": "first"}, SECOND, "of-second"),
        (("--profile", "second"), (), {"COMFYQ_API_KEY": "word"}, SECOND, "of-second"),
        (("--url", "second"), (), {"COMFYQ_URL": "first"}, SECOND, None),
        (("--url", "second"), (), {"COMFYQ_API_KEY": "word"}, SECOND, "word"),
        ((), ("--url", "second"), {}, SECOND, None),
        ((), ("--url", "first"), {}, FIRST, "of-first"),
        (("--api-key", "own"), (), {"COMFYQ_API_KEY": "word"}, FIRST, "own"),
        # options together
        (("--profile", "second", "--api-key", "own"), (), {}, SECOND, "own"),
        (("--profile", "second", "--url", "first"), (), {}, FIRST, None),
        (("--profile", "second"), ("--url", "first"), {}, FIRST, None),
        (("--profile", "second"), ("--url", "first"), {"COMFYQ_API_KEY": "word"}, FIRST, "word"),
        # the variable may be of another server
        (("--profile", "keyless"), (), {"COMFYQ_API_KEY": "word"}, SECOND, None),
        (
            ("--profile", "keyless"),
            (),
            {"COMFYQ_URL": "first", "COMFYQ_API_KEY": "word"},
            SECOND,
            None,
        ),
        (("--profile", "keyless", "--api-key", "own"), (), {}, SECOND, "own"),
        (("--profile", "keyless"), (), {}, SECOND, None),
    ],
)
def test_what_is_named_nearer_wins(
    home: Home,
    apis: tuple[FakeApi, FakeApi],
    before: tuple[str, ...],
    after: tuple[str, ...],
    env: dict[str, str],
    server: int,
    key: str | None,
) -> None:
    urls = {"first": apis[0].url, "second": apis[1].url}
    for name, url in urls.items():
        home.done("profiles", "add", name, "--url", url, "--api-key", f"of-{name}")
    home.done("profiles", "add", "keyless", "--url", apis[1].url)

    def named(words: tuple[str, ...]) -> list[str]:
        return [
            urls.get(word, word) if index and words[index - 1] == "--url" else word
            for index, word in enumerate(words)
        ]

    variables = {
        name: urls.get(value, value) if name == "COMFYQ_URL" else value
        for name, value in env.items()
    }
    home.done(*named(before), "list", *named(after), **variables)
    assert asked(apis) == (server, key)


def test_without_profiles_a_command_asks_this_machine(home: Home) -> None:
    missing = home("--profile", "lab", "list")
    assert (missing.exit_code, "there are none" in missing.stderr) == (2, True)
    assert "comfyq profiles add NAME --url URL" in missing.stderr


def test_who_names_server_and_key_needs_no_file(home: Home, apis: tuple[FakeApi, FakeApi]) -> None:
    home.file.parent.mkdir(parents=True)
    home.file.write_text("broken")
    home.done("list", COMFYQ_URL=apis[0].url, COMFYQ_API_KEY="word")
    home.done("--url", apis[0].url, "--api-key", "own", "list")


# --- tokens of a command


def printing(text: str) -> str:
    return f"{sys.executable} -c \"print('{text}')\""


def test_a_token_is_what_a_command_prints(home: Home, apis: tuple[FakeApi, FakeApi]) -> None:
    added = ("--url", apis[0].url, "--token-command", printing("a.b.c"))
    home.done("profiles", "add", "lab", *added)
    home.done("list")
    assert asked(apis) == (FIRST, "a.b.c")
    home.done("list", "--url", apis[1].url)
    assert asked(apis) == (SECOND, None)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/nowhere/at-all", "cannot be run"),
        ("'", "cannot be run"),
        ("", "cannot be run"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "ended with 3"),
        (printing(""), "no spaces"),
        (printing("a b"), "no spaces"),
    ],
)
def test_a_command_that_prints_no_token_is_told(command: str, reason: str) -> None:
    with pytest.raises(CannotStart, match=reason):
        TokenCommand(command)()


def test_a_command_runs_again_before_its_token_may_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, now_s = tmp_path / "runs", 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    program = "import sys; f = open(sys.argv[1], 'a+'); f.write('x'); print(f't{f.tell()}')"
    token = TokenCommand(f'{sys.executable} -c "{program}" {runs}')
    assert [token(), token()] == ["t1", "t1"]
    now_s += FRESH_S + 1
    assert token() == "t2"


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_command, "TIMEOUT_S", 0.1)
    with pytest.raises(CannotStart, match="has not ended within"):
        TokenCommand("sleep 60")()
