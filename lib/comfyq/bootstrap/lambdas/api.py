"""The function of the HTTP API."""

from typing import cast

from fastapi import FastAPI
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from comfyq.bootstrap.generate_api import GenerateFirst
from comfyq.bootstrap.lambdas.function import Function, services_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings


def api_function(settings: Settings) -> Function:
    """Mangum runs the application in the main thread's event loop, which it makes if need be."""
    handler = Mangum(
        GenerateFirst(services_of(settings), _whole_api),
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"],  # else base64
    )
    return cast("Function", handler)


def _whole_api(services: Services) -> FastAPI:
    from comfyq.bootstrap.api import api_app  # with the first request that is not for /generate

    return api_app(services)
