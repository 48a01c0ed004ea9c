"""Cross-origin requests of browsers, which API Gateway answers on AWS."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

READABLE = (  # headers of answers that a page may read, as in template.yaml
    *("Location", "Retry-After", "Idempotent-Replayed"),
    *("Content-Disposition", "Content-Range", "ETag"),
)


def allow_origins(app: FastAPI, origins: str) -> None:
    """Let pages of these origins (with commas; ``*``: of all) use the API; none: no page may."""
    allowed = [each.strip().rstrip("/") for each in origins.split(",") if each.strip()]
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=READABLE,
        )
