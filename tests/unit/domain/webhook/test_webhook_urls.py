import pytest

from comfyq.domain.webhook.urls import origin_of, shown_url, webhook_url_of


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example/hook",
        "http://receiver.example:8080",
        "https://receiver.example/a%20b?token=a/b&c=%3D",
        f"https://{'a' * 63}.example./hook",
        "https://[2606:2800:220:1::1]/hook",
    ],
)
def test_urls_of_receivers(url: str) -> None:
    assert webhook_url_of(url) == url


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        "",
        "receiver.example/hook",
        "ftp://receiver.example/secret",
        "https:///secret",
        "https://user@receiver.example/secret",
        "https://user:secret@receiver.example/",
        "https://@receiver.example/secret",
        "https://receiver.example:99999/secret",
        "https://receiver.example:0/secret",
        "https://receiver.example/secret#part",
        "https://receiver.example/secret#",
        "https://receiver.example/secret path",
        "https://receiver.example/secret\r\nHost: inner",
        "https://receiver.example/sécret",
        "https://[::1/secret",
        f"https://receiver.example/{'secret' * 400}",
        "https://hooks..example/secret",
        "https://.example/secret",
        f"https://{'a' * 64}.example/secret",
    ],
)
def test_other_urls_are_refused_without_repeating_them(wrong: object) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are looked at
        webhook_url_of(wrong)
    assert "secret" not in str(refused.value)


def test_what_is_shown_of_a_url_has_no_query_and_of_a_path_the_beginning() -> None:
    in_path = "https://hooks.example/services/team/hidden"
    assert shown_url(in_path) == "https://hooks.example/servic…"
    assert shown_url(f"{in_path}?") == "https://hooks.example/servic…?…"
    assert shown_url("http://receiver.example:8080") == "http://receiver.example:8080"
    assert shown_url("https://receiver.example/hook?token=hidden") == (
        "https://receiver.example/hook?…"
    )
    assert shown_url("https://receiver.example/hook") == "https://receiver.example/hook"


def test_a_receiver_is_a_host_at_a_port() -> None:
    assert origin_of("https://Receiver.example/a?b") == "https://receiver.example:443"
    assert origin_of("http://receiver.example:8080/") == "http://receiver.example:8080"
    assert origin_of("http://[::1]/") == "http://[::1]:80"
