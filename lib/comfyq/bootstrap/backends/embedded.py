"""One machine: SQLite and files."""

from pathlib import Path

from comfyq.adapters.filesystem.assets import FileAssets
from comfyq.adapters.gateway.notifier import GatewayNotifier
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqlite.joint import SqliteJointWrites
from comfyq.adapters.sqlite.queue import DEAD_BOX, SqliteQueue
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.bootstrap.backends.sockets_secret import sockets_secret
from comfyq.bootstrap.ports import Ports
from comfyq.config import Settings
from comfyq.domain.dead_letter import Origin
from comfyq.ports.clock import Clock

SUBMISSIONS_BOX = "submissions"
SUBMISSIONS_DEAD_BOX = "submissions-dead"


def database_file(settings: Settings) -> Path:
    return settings.data_dir / "comfyq.db"


def stored_files(settings: Settings) -> FileAssets:
    return FileAssets(folder=settings.data_dir / "assets")


def embedded_ports(settings: Settings, clock: Clock) -> Ports:
    database = Database(path=database_file(settings))
    table = SqliteTable(database=database, clock=clock)
    queue = SqliteQueue(database=database, clock=clock, visibility_s=settings.worker.visibility_s)
    notifier = GatewayNotifier(secret=sockets_secret(table), clock=clock)
    return Ports(
        table=table,
        queue=queue,
        joint=SqliteJointWrites(database=database, table=table, queue=queue),
        assets=stored_files(settings),
        clock=clock,
        notifier=notifier,
        sockets=notifier,
        close=database.close,
        write_failure=lambda: database.last_write.failure,
        submissions=SqliteInbox(
            database=database,
            clock=clock,
            box=SUBMISSIONS_BOX,
            dead=SUBMISSIONS_DEAD_BOX,
            visibility_s=settings.worker.visibility_s,
        ),
        dead={
            Origin.JOBS: SqliteInbox(database=database, clock=clock, box=DEAD_BOX),
            Origin.SUBMISSIONS: SqliteInbox(
                database=database, clock=clock, box=SUBMISSIONS_DEAD_BOX
            ),
        },
    )
