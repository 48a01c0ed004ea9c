"""The ports of each backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from comfyq.adapters.apigw.notifier import ApiGatewayNotifier
from comfyq.adapters.system.clock import CorrectedClock, SystemClock
from comfyq.bootstrap.aws import Clients
from comfyq.config import Backend, MinioSettings, Settings
from comfyq.domain.dead_letter import Origin
from comfyq.domain.errors import AssetsUnavailable
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Inbox
from comfyq.ports.joint import JointWrites
from comfyq.ports.notifier import Notifier, OwnSockets
from comfyq.ports.queue import JobQueue
from comfyq.ports.table import Table

if TYPE_CHECKING:
    from minio import Minio

# of the embedded backend's file
SUBMISSIONS_BOX = "submissions"
SUBMISSIONS_DEAD_BOX = "submissions-dead"


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world, as one backend has it; ``close`` lets go of what is open."""

    table: Table
    queue: JobQueue
    assets: Assets
    clock: Clock
    notifier: Notifier
    close: Callable[[], None]
    joint: JointWrites | None = None  # where one engine keeps table and queue
    sockets: OwnSockets | None = None  # where the notifier can be told of this process's own
    submissions: Inbox | None = None  # requests that come through a queue
    dead: Mapping[Origin, Inbox] = field(default_factory=dict)  # what each queue gave up on


class MissingSetting(Exception):
    """A backend needs a setting that is not there; the message names it."""


def open_ports(settings: Settings, *, clock: Clock | None = None) -> Ports:
    """Open the ports of the backend that ``settings`` names, by default on the machine's clock.

    Raises:
        MissingSetting: the backend needs one more setting, which the message names.
    """
    opened = _embedded if settings.backend is Backend.EMBEDDED else _aws
    return opened(settings, clock or SystemClock())


async def make_bucket(ports: Ports) -> None:
    """Make MinIO's bucket if it is missing; where MinIO does not answer, uploads wait for it."""
    import structlog

    from comfyq.adapters.minio.assets import MinioAssets

    if isinstance(ports.assets, MinioAssets):
        try:
            await ports.assets.ensure_bucket()
        except AssetsUnavailable as away:
            structlog.get_logger().warning("minio_away", reason=str(away))


def _embedded(settings: Settings, clock: Clock) -> Ports:
    from comfyq.adapters.filesystem.assets import FileAssets
    from comfyq.adapters.gateway.notifier import GatewayNotifier
    from comfyq.adapters.sqlite.database import Database
    from comfyq.adapters.sqlite.inbox import SqliteInbox
    from comfyq.adapters.sqlite.joint import SqliteJointWrites
    from comfyq.adapters.sqlite.queue import DEAD_BOX, SqliteQueue
    from comfyq.adapters.sqlite.table import SqliteTable

    database = Database(path=settings.data_dir / "comfyq.db")
    table = SqliteTable(database=database, clock=clock)
    queue = SqliteQueue(database=database, clock=clock, visibility_s=settings.local.visibility_s)
    notifier = GatewayNotifier()
    return Ports(
        table=table,
        queue=queue,
        joint=SqliteJointWrites(database=database, table=table, queue=queue),
        assets=_minio(settings.minio) or FileAssets(folder=settings.data_dir / "assets"),
        clock=clock,
        notifier=notifier,
        sockets=notifier,
        close=database.close,
        submissions=SqliteInbox(
            database=database, clock=clock, box=SUBMISSIONS_BOX, dead=SUBMISSIONS_DEAD_BOX
        ),
        dead={
            Origin.JOBS: SqliteInbox(database=database, clock=clock, box=DEAD_BOX),
            Origin.SUBMISSIONS: SqliteInbox(
                database=database, clock=clock, box=SUBMISSIONS_DEAD_BOX
            ),
        },
    )


def _aws(settings: Settings, local_clock: Clock) -> Ports:
    from comfyq.adapters.dynamodb.table import DynamoTable
    from comfyq.adapters.s3.assets import S3Assets
    from comfyq.adapters.sqs.queue import SqsQueue

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
        queue=SqsQueue(client=clients.sqs, url=aws.queue_url, fair=settings.tenants.fair_queue),
        assets=_minio(settings.minio) or S3Assets(client=clients.s3, bucket=aws.bucket),
        clock=clock,
        notifier=ApiGatewayNotifier(client_of=clients.management),
        close=lambda: None,
        submissions=_sqs_inbox(clients, aws.submissions_queue_url),
        dead={
            origin: inbox
            for origin, url in (
                (Origin.JOBS, aws.dead_queue_url),
                (Origin.SUBMISSIONS, aws.submissions_dead_queue_url),
            )
            if (inbox := _sqs_inbox(clients, url)) is not None
        },
    )


def _sqs_inbox(clients: Clients, url: str | None) -> Inbox | None:
    from comfyq.adapters.sqs.inbox import SqsInbox

    return None if url is None else SqsInbox(client=clients.sqs, url=url)


def _minio(minio: MinioSettings) -> Assets | None:
    if minio.endpoint is None:
        return None
    from comfyq.adapters.minio.assets import MinioAssets

    return MinioAssets(client=lambda: _minio_client(minio), bucket=minio.bucket)


def _minio_client(minio: MinioSettings) -> "Minio":
    from minio import Minio

    secret = minio.secret_key
    return Minio(
        endpoint=minio.endpoint or "",
        access_key=minio.access_key,
        secret_key=secret.get_secret_value() if secret else None,
        secure=minio.secure,
    )
