"""The HTTP application over one set of services."""

import sys
from collections.abc import Sequence

from fastapi import FastAPI

from comfyq.bootstrap.comfy_api import COMFY_ROUTERS
from comfyq.bootstrap.facades.routers import facade_routers
from comfyq.bootstrap.generate_api import GENERATE_ROUTERS, app_of
from comfyq.bootstrap.services import Services
from comfyq.edges.api.app import Lifespan
from comfyq.edges.api.router import Router
from comfyq.edges.api.routes import (
    assets,
    audit,
    batches,
    dead_letters,
    events,
    health,
    keys,
    metrics,
    quota,
    retries,
    tenants,
    uploads,
    webhook_deliveries,
    webhooks,
    workers,
    workflows,
)
from comfyq.ports.notifier import Streams

ROUTERS: Sequence[Router[Services]] = (
    batches.router,  # before jobs, one of which could else have the id "batch"
    *GENERATE_ROUTERS,
    *COMFY_ROUTERS,  # before those that fewer requests are for: routes are looked through in order
    retries.router,
    events.router,
    webhook_deliveries.router,
    uploads.router,
    assets.router,
    dead_letters.router,
    workflows.router,
    workers.router,
    health.router,
    quota.router,
    metrics.router,
    keys.router,
    keys.ticket_router,
    audit.router,
    tenants.router,
    webhooks.router,
)


# Of a number in JSON: the time to read one grows with their square, and no node takes so many.
# It is the least that Python allows.
MAX_DIGITS = sys.int_info.str_digits_check_threshold


def api_app(
    services: Services,
    *,
    lifespan: Lifespan | None = None,
    streams: Streams | None = None,
    most_file_bytes: int | None = None,
) -> FastAPI:
    """Make the application that Lambda, uvicorn and tests serve alike."""
    sys.set_int_max_str_digits(MAX_DIGITS)
    routers = [*ROUTERS, *facade_routers(services.settings.api)]
    return app_of(
        services, routers, lifespan=lifespan, streams=streams, most_file_bytes=most_file_bytes
    )
