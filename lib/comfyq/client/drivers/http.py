"""Requests and answers of httpx2, for both drivers."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from comfyq import __version__
from comfyq.client.effects import Done, Effect, Flow, Outcome, advanced
from comfyq.client.errors import BadValue, ComfyqError, NotReached
from comfyq.client.messages import Answer, Request

CONNECT_S = 5.0
WRITE_S = 60.0
CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 3
MAX_SHOWN = 80  # characters of a wrong value
MISREAD = (KeyError, IndexError, TypeError, AttributeError, ValueError)  # of other fields than ours
IDLE_CONNECTIONS = 20  # kept for the next request

ValueT = TypeVar("ValueT")

Key = str | Callable[[], str | None] | None
"""What a server knows the client by, or what returns it before each request."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a client's requests go to."""

    url: str  # without a slash at its end

    @classmethod
    def at(cls, url: str) -> "Server":
        return cls((url if "://" in url else f"http://{url}").rstrip("/"))

    def options(self, verify: ssl.SSLContext | bool) -> dict[str, Any]:
        """Return the options of a client of httpx2; no proxy stands before one's own machine."""
        return {
            "verify": verify,
            "follow_redirects": True,
            "max_redirects": MAX_REDIRECTS,
            "trust_env": not self._is_here,
            # A stream holds one: with a limit, many that are followed at once would leave none for
            # what else has to be asked.
            "limits": httpx2.Limits(
                max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS
            ),
        }

    @property
    def _is_here(self) -> bool:
        try:
            host = urlsplit(self.url).hostname or ""
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:  # a name; or no URL, which httpx2 says when it is asked for
            return False

    def arguments(self, request: Request, read_s: float, key: str | None) -> dict[str, Any]:
        """Return the arguments of a request of httpx2, but for a body that is a file."""
        if not request.is_link:  # which the server has made
            _check_texts(request)
        headers = {"User-Agent": f"comfyq/{__version__}", **request.headers}
        for name in [each for each in headers if each.lower() == "content-length"]:
            del headers[name]  # it is that of the body, and stands once
        if key is not None and not request.is_link:
            headers["Authorization"] = f"Bearer {_checked(key)}"
        arguments: dict[str, Any] = {
            "method": request.method,
            "url": request.target if request.is_link else self.url + request.target,
            "headers": headers,
            "timeout": httpx2.Timeout(
                connect=min(CONNECT_S, read_s), read=read_s, write=WRITE_S, pool=read_s
            ),
        }
        if request.query:
            arguments["params"] = list(request.query)
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            arguments["content"] = _encoded(request.json)
        if isinstance(request.content, bytes):
            arguments["content"] = request.content
        return arguments


def _check_texts(request: Request) -> None:
    """Raise BadValue for what no URL and no header takes."""
    for name, value in request.query:
        try:
            value.encode()
        except UnicodeEncodeError as wrong:
            raise BadValue(f"{name}: {_short(value)} is not Unicode") from wrong
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            raise BadValue(
                f"{name}: {_short(value)} has characters that a header does not take: ASCII does, "
                "without line breaks"
            )


def _short(value: str) -> str:
    return repr(value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…")


def _encoded(value: Any) -> bytes:
    """Return a value as JSON. Raises BadValue: NaN, a half of a character and the like are none."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as wrong:
        raise BadValue(f"the request cannot be written as JSON: {wrong}") from wrong


def _checked(key: str) -> str:
    """Return a key as a header takes it; a file's line break at its end is none of it."""
    stripped = key.strip()
    if not (stripped and stripped.isascii() and stripped.isprintable()):
        raise NotReached(
            "the API key is empty or has characters that no key has; it is what "
            "`comfyq keys create` printed",
            is_hopeless=True,
        )
    return stripped


def check_method(request: Request, response: httpx2.Response) -> None:
    """Raise NotReached if a redirect has made a GET of a request, which did nothing then.

    https://www.rfc-editor.org/rfc/rfc9110#name-301-moved-permanently
    """
    if response.request.method != request.method:
        raise NotReached(
            f"the server leads a {request.method} on to {response.url}, where it would arrive as a "
            f"{response.request.method}: give the client the URL that it leads to",
            is_hopeless=True,
        )


def stepped(flow: Flow[ValueT], outcome: Outcome, answered_by: str | None) -> Effect | Done[ValueT]:
    """Tell a flow what came of its effect; return the next one.

    Raises:
        NotReached: the flow cannot read what ``answered_by``, a URL, has told.
    """
    try:
        return advanced(flow, outcome)
    except MISREAD as wrong:
        if answered_by is None or wrong is outcome.error or isinstance(wrong, ComfyqError):
            raise
        told = f"{type(wrong).__name__}: {wrong}"
        raise NotReached(
            f"{answered_by} answers otherwise than this client reads it ({told}): it is another "
            f"version than {__version__}, or no comfyq"
        ) from wrong


def answer_of(response: httpx2.Response, *, content: bytes = b"") -> Answer:
    headers: Mapping[str, str] = dict(response.headers.items())
    return Answer(
        url=str(response.url),
        status=response.status_code,
        reason=response.reason_phrase,
        headers=headers,
        content=content,
    )


@contextmanager
def as_not_reached(url: str) -> Iterator[None]:
    """Raise NotReached for what httpx2 raises where there is no answer, or no whole one."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as away:
        raise NotReached(
            f"cannot reach {_asked(away, url)}: {_reason(away)}", unsent=True
        ) from away
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as wrong:
        raise NotReached(f"cannot reach {url}: {_reason(wrong)}", is_hopeless=True) from wrong
    except httpx2.LocalProtocolError:  # its text quotes headers, a key among them
        raise NotReached(
            f"cannot ask {url}: a header of the request has characters that HTTP does not allow, "
            "or the file that is sent has changed",
            is_hopeless=True,
        ) from None
    except httpx2.StreamError as consumed:
        raise NotReached(
            f"{url} leads an upload on, which is not sent twice: give the client the URL that it "
            "leads to",
            is_hopeless=True,
        ) from consumed
    except httpx2.HTTPError as lost:
        raise NotReached(f"the answer of {_asked(lost, url)} broke off: {_reason(lost)}") from lost


def _asked(error: httpx2.HTTPError, url: str) -> str:
    """Return the URL that was asked when it went wrong, and which one has led there."""
    try:
        asked = error.request.url
    except RuntimeError:  # before there was a request
        return url
    return url if asked.netloc == httpx2.URL(url).netloc else f"{asked}, where {url} leads"


def _reason(error: Exception) -> str:
    """Say in words why there is no connection, or no answer."""
    if isinstance(error, httpx2.TimeoutException):
        return "nothing came in time"
    for cause in _causes(error):
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens there"
        if isinstance(cause, socket.gaierror):
            return f"its host's name cannot be looked up ({cause.strerror})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error was raised from, layer by layer, and of several the first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        if isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        else:
            found = found.__cause__ or found.__context__
