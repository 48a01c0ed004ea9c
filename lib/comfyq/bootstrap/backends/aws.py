"""AWS's services, or look-alikes of them."""

from comfyq.adapters.apigw.notifier import ApiGatewayNotifier
from comfyq.adapters.dynamodb.table import DynamoTable
from comfyq.adapters.s3.assets import S3Assets
from comfyq.adapters.sqs.inbox import SqsInbox
from comfyq.adapters.sqs.late_frames import SqsLateFrames
from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.adapters.sqs.webhook_doorbell import SqsWebhookDoorbell
from comfyq.adapters.system.clock import CorrectedClock
from comfyq.bootstrap.backends.sockets_secret import sockets_secret
from comfyq.bootstrap.clients import Clients
from comfyq.bootstrap.ports import MissingSetting, Ports
from comfyq.config import Settings
from comfyq.domain.dead_letter import Origin
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Inbox
from comfyq.ports.notifier import LateFrames
from comfyq.ports.webhooks import WebhookDoorbell


def aws_ports(settings: Settings, local_clock: Clock) -> Ports:
    aws = settings.aws
    if aws.queue_url is None:
        raise MissingSetting(
            f"the {settings.backend} backend needs COMFYQ_QUEUE_URL, COMFYQ_TABLE and "
            "COMFYQ_BUCKET; `comfyq env` prints them for a running `comfyq up`"
        )
    clients = Clients(settings)
    clock = CorrectedClock(local_clock)
    table = DynamoTable(
        client=clients.dynamodb, table=aws.table, clock=clock, on_date=clock.observe
    )
    return Ports(
        table=table,
        queue=SqsQueue(
            client=clients.sqs,
            url=aws.queue_url,
            fair=settings.tenants.fair_queue,
            visibility_s=settings.worker.visibility_s,
        ),
        assets=S3Assets(client=clients.s3, bucket=aws.bucket),
        clock=clock,
        notifier=ApiGatewayNotifier(
            client_of=clients.management, local_secret=sockets_secret(table)
        ),
        webhook_doorbell=_webhook_doorbell(clients, settings, clock),
        late_frames=_late_frames(clients, settings),
        close=lambda: None,
        submissions=_sqs_inbox(
            clients, aws.submissions_queue_url, visibility_s=settings.worker.visibility_s
        ),
        dead={
            origin: inbox
            for origin, url in (
                (Origin.JOBS, aws.dead_queue_url),
                (Origin.SUBMISSIONS, aws.submissions_dead_queue_url),
            )
            if (inbox := _sqs_inbox(clients, url)) is not None
        },
    )


def _webhook_doorbell(clients: Clients, settings: Settings, clock: Clock) -> WebhookDoorbell | None:
    url = settings.webhooks.webhooks_queue_url
    if url is None:
        return None
    fair = settings.tenants.fair_queue
    return SqsWebhookDoorbell(client=clients.sqs_rings, url=url, clock=clock, fair=fair)


def _late_frames(clients: Clients, settings: Settings) -> LateFrames | None:
    url = settings.webhooks.webhooks_queue_url
    return None if url is None else SqsLateFrames(client=clients.sqs_rings, url=url)


def _sqs_inbox(
    clients: Clients, url: str | None, *, visibility_s: float | None = None
) -> Inbox | None:
    if url is None:
        return None
    return SqsInbox(client=clients.sqs, url=url, visibility_s=visibility_s)
