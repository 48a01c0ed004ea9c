"""The function of the queue that rings for webhooks."""

from comfyq.bootstrap.lambdas.function import Function, blocking, observed, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.webhooks.handler import WebhookHandler


def webhooks_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
    handler = WebhookHandler(services.webhook_sender.send)
    return observed(blocking(handler.handle), settings, services.ports, service="comfyq-webhooks")
