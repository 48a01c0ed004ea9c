"""The HTTP application over one set of services."""

from fastapi import FastAPI

from comfyq import __version__
from comfyq.bootstrap.services import Services
from comfyq.edges.api.app import Lifespan, create_app
from comfyq.edges.api.dependencies import ApiServices


def api_app(services: Services, *, lifespan: Lifespan | None = None) -> FastAPI:
    """The same application for Lambda, for uvicorn and for tests."""
    api = ApiServices(
        submission=services.submission,
        queries=services.queries,
        cancellation=services.cancellation,
        estimates=services.estimates,
        downloads=services.downloads,
        health=services.health,
        library=services.library,
        dead_letters=services.dead_letters,
        batches=services.batches,
        batch_submission=services.batch_submission,
        uploads=services.uploads,
        presigned_uploads=services.presigned_uploads,
        links=services.links,
        version=__version__,
        public_url=services.settings.public_url,
        ws_url=services.settings.ws_url,
    )
    return create_app(api=api, lifespan=lifespan)
