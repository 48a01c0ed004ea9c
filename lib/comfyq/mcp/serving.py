"""The ways by which MCP clients reach the server: a pipe, or streamable HTTP."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from http import HTTPStatus
from socket import gethostname

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.authentication import AuthenticationError
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response

from comfyq.mcp.api import ApiError
from comfyq.mcp.server import McpServer

PATH = "/mcp"
MAX_BODY_BYTES = 8 * 1024 * 1024  # the API takes 6 MB, and JSON-RPC stands around it
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

# Whether the server knows a key or token, and lets nobody in without one; raises ApiError.
Checks = Callable[[str], Awaitable[bool]]


async def serve_pipe(mcp: McpServer) -> None:
    """Serve the client that started this process, until it closes our standard input."""
    async with stdio_server() as (reads, writes):
        await mcp.server.run(reads, writes, mcp.server.create_initialization_options())


def http_app(mcp: McpServer, *, names: Sequence[str], checks: Checks | None) -> Starlette:
    """Return the application that serves MCP at ``PATH``.

    It answers to the ``names`` of this machine alone, and no page of another origin. With
    ``checks``, every request needs a bearer, which is shown to the API in its place.
    """
    known = [*LOOPBACK, gethostname().lower(), *names]
    verifier = None if checks is None else _Bearers(checks)
    app = mcp.server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[form for name in known for form in (name, f"{name}:*")],
            allowed_origins=[
                f"{scheme}://{name}{port}"
                for scheme in ("http", "https")
                for name in known
                for port in ("", ":*")
            ],
        ),
        token_verifier=verifier,
    )
    if verifier is not None:  # the SDK adds these by itself only beside an OAuth issuer
        app.add_middleware(AuthContextMiddleware)
        app.add_middleware(
            AuthenticationMiddleware, backend=BearerAuthBackend(verifier), on_error=_not_checked
        )
    return app


def shown_bearer() -> str:
    """Return the bearer of the request that is answered now. Raises RuntimeError without one: no
    request gets here then, and it must not be answered by the key of this process."""
    token = get_access_token()
    if token is None:
        raise RuntimeError("a request without a bearer was not refused")
    return token.token


class _Bearers(TokenVerifier):
    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose request it is: a session is only its own bearer's."""
        try:
            is_known = await self._checks(token)
        except ApiError as error:
            raise AuthenticationError(str(error)) from error
        holder = sha256(token.encode()).hexdigest()
        return AccessToken(token=token, client_id=holder, scopes=[]) if is_known else None


def _not_checked(_: HTTPConnection, error: AuthenticationError) -> Response:
    return PlainTextResponse(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
