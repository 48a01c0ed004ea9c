"""A server that others reach is closed to them, unless its owner says otherwise."""

from typing import Any

import pytest

from comfyq.config import Auth, read_settings
from comfyq.local.sign_in import NotSafe, can_make_keys, no_key, with_sign_in

OPEN_HOSTS = ["0.0.0.0", "::", "", "192.168.1.5", "gpu-host", "localhost.evil.example"]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]


def decided(host: str, *, insecure: bool = False, **variables: Any) -> Auth | None:
    return with_sign_in(read_settings({}, **variables), host=host, insecure=insecure).api.auth


def refused(host: str, *, insecure: bool = False, **variables: Any) -> str:
    with pytest.raises(NotSafe) as raised:
        decided(host, insecure=insecure, **variables)
    return str(raised.value)


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_loopback_everyone_is_the_owner_unless_keys_are_wanted(host: str) -> None:
    assert decided(host) is Auth.NONE
    assert decided(host, COMFYQ_AUTH="none") is Auth.NONE
    for auth in Auth:
        assert decided(host, COMFYQ_AUTH=auth) is auth


@pytest.mark.parametrize("host", OPEN_HOSTS)
def test_elsewhere_clients_need_keys(host: str) -> None:
    assert decided(host) is Auth.KEYS
    assert decided(host, COMFYQ_AUTH="keys,oidc") is Auth.BOTH
    assert decided(host, insecure=True) is Auth.NONE
    assert decided(host, insecure=True, COMFYQ_AUTH="none") is Auth.NONE


def test_no_sign_in_elsewhere_has_to_be_said_twice() -> None:
    text = refused("0.0.0.0", COMFYQ_AUTH="none", COMFYQ_DATA_DIR="here")
    assert "everyone who reaches 0.0.0.0 may submit, read, cancel and delete" in text
    assert "`comfyq keys create NAME --data-dir here`" in text
    assert "--insecure" in text


@pytest.mark.parametrize("auth", ["keys", "oidc", "keys,oidc"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_what_contradicts_itself_is_refused(host: str, auth: str) -> None:
    text = refused(host, insecure=True, COMFYQ_AUTH=auth)
    assert f"--auth {auth} " in text
    assert "leave one out" in text


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"COMFYQ_DATA_DIR": "/data"}, "`comfyq keys create NAME --data-dir /data`"),
        ({"COMFYQ_DATA_DIR": "/my data"}, "`comfyq keys create NAME --data-dir '/my data'`"),
        ({"COMFYQ_BACKEND": "aws"}, "`COMFYQ_BACKEND=aws comfyq keys create NAME`"),
    ],
)
def test_the_refusal_names_the_command_that_helps(variables: dict[str, str], command: str) -> None:
    text = str(no_key(read_settings({}, **variables), host="0.0.0.0"))
    assert command in text
    assert "--insecure serves without sign-in" in text
    own = str(no_key(read_settings({}, **variables), host="127.0.0.1"))
    assert command in own
    assert "--insecure" not in own


def test_keys_of_an_emulator_that_is_not_there_yet_come_later() -> None:
    assert not can_make_keys(read_settings({"COMFYQ_BACKEND": "emulator"}))
    named = {"COMFYQ_BACKEND": "emulator", "AWS_ENDPOINT_URL": "http://e"}
    assert can_make_keys(read_settings(named))
    assert can_make_keys(read_settings({}))
