"""Lambda entry point of the HTTP API (API Gateway payload format 2.0)."""

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from comfyq.bootstrap.api import api_app
from comfyq.bootstrap.ports import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings

settings = Settings()  # once per execution environment, not per request
handler = Mangum(
    api_app(Services(settings, open_ports(settings))),
    lifespan="off",
    text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"],  # else base64
)
