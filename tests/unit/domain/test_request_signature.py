"""Signatures of requests: those of AWS's own library are understood, and no others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from comfyq.domain.request_signature import VALID, SignedRequest, is_signed, signed_headers

SECRET = b"made up"
NOW = datetime(2026, 1, 1, 23, 59, 58, tzinfo=UTC)
PLAIN = SignedRequest(
    "POST",
    "/local/@connections/L0SM9cOFvHcCIhw%3D",
    {"host": "127.0.0.1:8080", "content-type": "application/octet-stream"},
    b'{"snow": "\xe2\x98\x83"}',
)


def signed(request: SignedRequest = PLAIN, secret: bytes = SECRET) -> SignedRequest:
    return replace(request, headers=signed_headers(request, secret, now=NOW))


def by_boto(request: SignedRequest = PLAIN, *, region: str = "us-east-1") -> SignedRequest:
    """Sign as botocore does, by the machine's clock."""
    url = f"http://{request.headers['host']}{request.path}"
    sent = AWSRequest(request.method, url, data=request.body, headers=dict(request.headers))
    SigV4Auth(Credentials("any", SECRET.decode()), "execute-api", region).add_auth(sent)
    return replace(request, headers={name.lower(): value for name, value in sent.headers.items()})


def sent_at(request: SignedRequest) -> datetime:
    return datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("path", [PLAIN.path, "/a/@connections/x", "/a/~b/%2F/%25"])
def test_botocore_and_we_sign_alike(method: str, path: str) -> None:
    request = replace(PLAIN, method=method, path=path)
    theirs = by_boto(request, region="local")
    ours = signed_headers(request, SECRET, now=sent_at(theirs))
    expected = theirs.headers["authorization"].replace("Credential=any/", "Credential=comfyq/")
    assert ours["authorization"] == expected
    assert is_signed(by_boto(request), SECRET, now=sent_at(theirs))


def test_a_request_is_taken_for_a_while() -> None:
    request = signed()
    for late in (-VALID, timedelta(), VALID):
        assert is_signed(request, SECRET, now=NOW + late)
    for late in (-VALID - timedelta(seconds=1), VALID + timedelta(seconds=1)):
        assert not is_signed(request, SECRET, now=NOW + late)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "DELETE"},
        {"path": "/local/@connections/another"},
        {"path": f"{PLAIN.path}?x=y"},
        {"body": b"{}"},
    ],
    ids=str,
)
def test_what_was_changed_on_the_way_is_refused(changed: dict[str, object]) -> None:
    assert is_signed(signed(), SECRET, now=NOW)
    assert not is_signed(replace(signed(), **changed), SECRET, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "127.0.0.1:8081"),
        ("content-type", "text/plain"),
        ("x-amz-date", "20260101T235959Z"),
        ("x-amz-date", "20260102T000000Z"),
        ("x-amz-date", "yesterday"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=local"),
        ("authorization", "Bearer x"),
        ("authorization", ""),
    ],
)
def test_changed_headers_are_refused(name: str, value: str) -> None:
    request = signed()
    other = replace(request, headers={**request.headers, name: value})
    assert not is_signed(other, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["host", "x-amz-date", "authorization", "content-type"])
def test_missing_headers_are_refused(name: str) -> None:
    request = signed()
    headers = {key: value for key, value in request.headers.items() if key != name}
    assert not is_signed(replace(request, headers=headers), SECRET, now=NOW)


def test_a_signature_has_to_cover_host_and_time() -> None:
    bare = SignedRequest("GET", "/", {"content-type": "x"}, b"")
    request = replace(bare, headers=signed_headers(bare, SECRET, now=NOW) | {"host": "h"})
    assert not is_signed(request, SECRET, now=NOW)


def test_another_secret_signs_nothing() -> None:
    assert not is_signed(signed(secret=b"another"), SECRET, now=NOW)
    assert not is_signed(signed(secret=b""), SECRET, now=NOW)
    text = signed().headers["authorization"]
    for forged in (text[:-1] + ("0" if text[-1] != "0" else "1"), text[:-64] + "0" * 64):
        headers = {**signed().headers, "authorization": forged}
        assert not is_signed(replace(PLAIN, headers=headers), SECRET, now=NOW)


def test_headers_are_compared_without_the_spaces_around_them() -> None:
    request = signed()
    padded = replace(request, headers={**request.headers, "host": " 127.0.0.1:8080 "})
    assert is_signed(padded, SECRET, now=NOW)
