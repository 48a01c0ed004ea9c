"""Cross-origin requests of browsers, which API Gateway answers on AWS."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from comfyq.config import ApiSettings
from comfyq.config.lists import listed
from comfyq.local.browsers.page_guard import PageGuard, ServedNames

READABLE = (  # headers of answers that a page may read, as in template.yaml
    *("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied"),
    *("RateLimit", "RateLimit-Policy"),
    *("Content-Disposition", "Content-Range", "ETag", "X-Request-Id"),
)


def keep_pages_out(app: FastAPI, settings: ApiSettings, *, names: Iterable[str] = ()) -> None:
    """Let pages use the API that the settings or ``app`` itself serve, and no others.

    ``names`` are names of this server beside those of the settings.
    """
    allowed = origins_of(settings.cors_origins)
    public = urlsplit(settings.public_url or "")
    own = [f"{public.scheme}://{public.netloc}"] if public.netloc else []
    allow_origins(app, allowed)
    served = ServedNames([*names, *listed(settings.allowed_hosts), public.hostname or ""])
    app.add_middleware(PageGuard, names=served, origins=[*allowed, *own])


def allow_origins(app: FastAPI, allowed: Sequence[str]) -> None:
    """Let pages of these origins (``*``: of all) use the API; none: no page may."""
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=READABLE,
        )


def origins_of(text: str) -> Sequence[str]:
    """Return the origins of a setting, as browsers send them."""
    return [each.rstrip("/") for each in listed(text)]
