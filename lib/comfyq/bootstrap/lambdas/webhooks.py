"""The function of the queue that rings for webhooks, and for frames that were put off."""

from comfyq.bootstrap.lambdas.function import Function, blocking, observed, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.webhooks.handler import WebhookHandler
from comfyq.services.notify.slow_receivers import SlowReceivers


def webhooks_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
    handler = WebhookHandler(
        send=services.webhook_sender.send,
        put_off=services.webhook_sender.put_off,
        receiver_of=services.due_webhooks.receiver_of,
        slow=SlowReceivers(clock=services.ports.clock),
        tell_late=services.batch_news.tell_late,
    )
    return observed(blocking(handler.handle), settings, services.ports, service="comfyq-webhooks")
