"""Which kinds of credentials a server takes, by its setting."""

import sys
from collections.abc import Iterator

import pytest

from comfyq.bootstrap.access import AccessServices
from comfyq.bootstrap.ports import MissingSetting
from comfyq.config import read_settings
from tests.access_lab import AccessLab
from tests.issuer import Issuer, serving_issuer

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


@pytest.mark.parametrize(
    ("auth", "key", "token"),
    [("none", 200, 200), ("keys", 200, 401), ("oidc", 401, 200), ("keys,oidc", 200, 200)],
)
async def test_each_setting_takes_what_it_names(
    issuer: Issuer, auth: str, key: int, token: int
) -> None:
    lab = AccessLab(issuer, COMFYQ_AUTH=auth)
    text = await lab.key()
    assert lab.ask("GET", "/generate", text).status_code == key
    by_own_header = lab.ask("GET", "/generate", None, headers={"X-API-Key": text})
    assert by_own_header.status_code == key
    assert lab.ask("GET", "/generate", lab.token()).status_code == token
    nothing = lab.ask("GET", "/generate", None)
    assert nothing.status_code == (200 if auth == "none" else 401)


@pytest.mark.parametrize(
    ("auth", "hints"),
    [("keys", {"API key"}), ("oidc", {"token"}), ("keys,oidc", {"API key", "token"})],
)
async def test_who_shows_nothing_learns_what_is_taken(
    issuer: Issuer, auth: str, hints: set[str]
) -> None:
    lab = AccessLab(issuer, COMFYQ_AUTH=auth)
    detail = lab.ask("GET", "/generate", None).json()["detail"]
    assert {hint for hint in ("API key", "token") if hint in detail} == hints


async def test_a_token_is_taken_from_its_own_header_alone(issuer: Issuer) -> None:
    lab = AccessLab(issuer)
    for place in ({"X-API-Key": lab.token()}, {"Authorization": f"Basic {lab.token()}"}):
        assert lab.ask("GET", "/generate", None, headers=place).status_code == 401
    assert lab.ask("GET", "/generate", lab.token()).status_code == 200


async def test_a_server_that_takes_keys_alone_asks_no_issuer(issuer: Issuer) -> None:
    lab = AccessLab(issuer, COMFYQ_AUTH="keys")
    assert lab.ask("GET", "/generate", lab.token()).status_code == 401
    both = AccessLab(issuer)
    assert both.ask("GET", "/generate", await both.key()).status_code == 200
    assert issuer.asked == []


def test_a_missing_package_is_named(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({"COMFYQ_AUTH": "oidc", **issuer.settings})
    ports = AccessLab().services.ports
    for name in [each for each in sys.modules if each.startswith("comfyq.adapters.oidc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingSetting, match=r"package jwt.*extra `oidc`"):
        _ = AccessServices(settings, ports).authenticator
