"""The function of the WebSocket API."""

from comfyq.bootstrap.lambdas.function import Function, blocking, observed, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.websocket.handler import WebSocketHandler


def websocket_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        authenticator=services.authenticator,
        scheme="https",
        public_url=settings.api.public_url,
    )
    return observed(blocking(handler.handle), settings, services.ports, service="comfyq-websocket")
