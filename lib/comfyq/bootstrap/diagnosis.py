"""Diagnosis of a deployment with this machine's credentials."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from comfyq.adapters.sqs.gauge import SqsGauge
from comfyq.adapters.system.clock import CorrectedClock
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.clients import Clients
from comfyq.bootstrap.ports import Ports
from comfyq.config import Backend, Settings
from comfyq.domain.diagnosis import Finding
from comfyq.services.operations.diagnosis import Diagnosis
from comfyq.services.operations.probes import FileProbe, Probe, QueueProbe, SocketProbe, TableProbe


async def check_services(settings: Settings, *, sample: Path) -> Sequence[Finding]:
    """Check the rights of these credentials on table, queue, files and sockets.

    ``sample`` is a small file, which is stored and deleted again. The embedded backend has no
    services, so its result is empty. Raises MissingSetting.
    """
    if settings.backend is Backend.EMBEDDED:
        return ()
    ports = open_ports(settings)
    try:
        return await _diagnosis(settings, ports, sample).run()
    finally:
        ports.close()


def _diagnosis(settings: Settings, ports: Ports, sample: Path) -> Diagnosis:
    clients = Clients(settings)
    dead = {
        "jobs": settings.aws.dead_queue_url,
        "submissions": settings.aws.submissions_dead_queue_url,
    }
    assert settings.aws.queue_url is not None  # open_ports has seen to it
    id = f"check-{uuid4().hex}"
    jobs = SqsGauge(client=clients.sqs, url=settings.aws.queue_url)
    gauges = {
        name: SqsGauge(client=clients.sqs, url=url) for name, url in dead.items() if url is not None
    }
    probes: list[Probe] = [
        TableProbe(ports.table, id=id),
        QueueProbe(jobs, dead=gauges),
        FileProbe(ports.assets, sample=sample, id=id),
        SocketProbe(ports.notifier, endpoint=_management(settings.api.ws_url)),
    ]
    clock = ports.clock
    return Diagnosis(
        probes=probes,
        skew=lambda: clock.skew if isinstance(clock, CorrectedClock) else timedelta(),
    )


def _management(ws_url: str | None) -> str | None:
    """``https://host/stage`` of ``wss://host/stage``."""
    return None if ws_url is None else ws_url.replace("ws", "http", 1)
