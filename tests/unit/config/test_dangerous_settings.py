"""Settings that would leave a door open are refused at the start, with what to write instead."""

import pytest

from comfyq.config import InvalidSettings, read_settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "files.lan",
        "files.lan, 127.0.0.0/8",
        "10.0.0.0/8,192.168.1.7",
        "fd12:3456::/32",
        "::1",
        "my_host",
    ],
)
def test_hosts_and_networks_are_allowed(text: str) -> None:
    assert read_settings({"COMFYQ_INPUT_ALLOW": text}).limits.input_allow == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.1.2.3/8", "did you mean 10.0.0.0/8?"),
        ("fd12::1/32", "did you mean fd12::/32?"),
        ("*.lan", "no host, address or network"),
        ("files.lan:8080", "no host, address or network"),
        ("[::1]:80", "no host, address or network"),
        ("http://files.lan", "no host, address or network"),
        ("files.lan/x", "no host, address or network"),
        ("10.0.0.0/33", "no host, address or network"),
        ("10.0.0.300", "no host, address or network"),
        ("10.0.0.0-10.0.0.9", "no host, address or network"),
        ("files.lan,", "an empty entry"),
        (",", "an empty entry"),
        ("a.lan b.lan", "no host, address or network"),
        ("169.254.169.254", "metadata service"),
        ("169.254.169.254/32", "metadata service"),
        ("fd00:ec2::254", "metadata service"),
    ],
)
def test_what_has_no_meaning_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings({"COMFYQ_INPUT_ALLOW": text})
    assert str(refused.value).startswith("COMFYQ_INPUT_ALLOW: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize("secret", ["", "secret", "é" * 15])
def test_a_short_secret_is_refused_with_a_way_to_make_one(secret: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings({"COMFYQ_LINK_SECRET": secret})
    assert str(refused.value).startswith("COMFYQ_LINK_SECRET: has ")
    assert "openssl rand -hex 32" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_secret_of_32_bytes_is_taken() -> None:
    secret = read_settings({"COMFYQ_LINK_SECRET": "é" * 16}).api.link_secret
    assert secret is not None


@pytest.mark.parametrize("tenant", ["a#b", "", "#", "a b", "a\n", "x" * 65, "../a", "-a"])
def test_a_tenant_that_could_be_taken_for_another_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings({"COMFYQ_SUBMISSIONS_TENANT": tenant})
    assert str(refused.value).startswith("COMFYQ_SUBMISSIONS_TENANT: ")
    assert "is no tenant" in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "lives_s"),
    [
        ({}, 3_600),
        ({"COMFYQ_AUTH": "keys"}, 3_600),
        ({"COMFYQ_AUTH": "none"}, 604_800),
        ({"COMFYQ_AUTH": "keys", "COMFYQ_LINK_EXPIRES_S": "60"}, 60),
        ({"COMFYQ_AUTH": "none", "COMFYQ_LINK_EXPIRES_S": "60"}, 60),
    ],
)
def test_links_live_for_an_hour_where_clients_need_keys(
    variables: dict[str, str], lives_s: int
) -> None:
    assert read_settings(variables).api.links_live_s == lives_s


@pytest.mark.parametrize(
    "url",
    [
        "huggingface.co",
        "https://",
        "ftp://hub.example",
        "https://[hub.example",
        "https://hub.example:99999",
        "https://user:secret@hub.example",
        "https://hub.example?token=secret",
    ],
)
def test_the_address_of_a_hub_is_one_that_can_be_asked(url: str) -> None:
    with pytest.raises(InvalidSettings, match="COMFYQ_MODEL_HUB_HF") as refused:
        read_settings({"COMFYQ_MODEL_HUB_HF": url})
    assert "secret" not in str(refused.value)
    mirrors = ("https://hub.example/mirror/", "http://127.0.0.1:8000", "http://[::1]:8000")
    for mirror in mirrors:
        assert read_settings({"COMFYQ_MODEL_HUB_HF": mirror}).models.model_hub_hf == mirror
