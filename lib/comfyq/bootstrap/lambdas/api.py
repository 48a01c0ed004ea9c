"""The function of the HTTP API."""

from typing import cast

from fastapi import FastAPI
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from comfyq.bootstrap.generate_api import GenerateFirst
from comfyq.bootstrap.job_services import JobServices
from comfyq.bootstrap.lambdas.function import Function, observed, ports_of
from comfyq.config import Settings
from comfyq.edges.api.bodies import LAMBDA_FILE_BYTES


def api_function(settings: Settings) -> Function:
    """Mangum runs the application in the main thread's event loop, which it makes if need be."""
    ports = ports_of(settings)
    handler = Mangum(
        GenerateFirst(JobServices(settings, ports), comfy=_comfy_api, whole=_whole_api),
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"],  # else base64
    )
    return observed(cast("Function", handler), settings, ports, service="comfyq-api")


def _comfy_api(services: JobServices) -> FastAPI:
    # imported with the first request that is for the Comfy API v2
    from comfyq.bootstrap.comfy_api import comfy_app
    from comfyq.bootstrap.services import Services

    given = Services(services.settings, services.ports)
    return comfy_app(given, most_file_bytes=LAMBDA_FILE_BYTES)


def _whole_api(services: JobServices) -> FastAPI:
    # imported with the first request that is not for /generate
    from comfyq.bootstrap.api import api_app
    from comfyq.bootstrap.services import Services

    given = Services(services.settings, services.ports)
    return api_app(given, most_file_bytes=LAMBDA_FILE_BYTES)
