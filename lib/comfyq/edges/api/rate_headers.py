"""``RateLimit`` and ``RateLimit-Policy`` of answers that count towards a limit.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/
"""

from collections.abc import Mapping, Sequence

from fastapi import Request

from comfyq.domain.caller import Caller
from comfyq.domain.errors import DomainError
from comfyq.domain.token_bucket import WINDOW_S
from comfyq.edges.api.calling.scope import SERVICES
from comfyq.services.limits.rate_limit import Allowance, RateLimit


def count(request: Request) -> None:
    """Note that a request is for a route that counts."""
    request.state.counts = True


async def rate_headers(request: Request) -> Mapping[str, str]:
    """Return the headers that tell a request's caller what it has left; none where nothing is
    limited, or the limits cannot be read now."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or not getattr(request.state, "counts", False):
        return {}
    rate_limit: RateLimit = request.scope[SERVICES].rate_limit
    try:
        return _headers(await rate_limit.standing(caller))
    except DomainError:
        return {}


def _headers(allowances: Sequence[Allowance]) -> Mapping[str, str]:
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{a.of}";q={a.limit};w={WINDOW_S}' for a in allowances),
        "RateLimit": ", ".join(f'"{a.of}";r={a.left};t={a.full_in_s}' for a in allowances),
    }
