"""The backends: each opens the ports with adapters of its own."""

from dataclasses import replace

from comfyq.adapters.measured.queue import MeasuredQueue
from comfyq.adapters.measured.table import MeasuredJointWrites, MeasuredTable
from comfyq.adapters.system.clock import SystemClock
from comfyq.bootstrap.ports import Ports
from comfyq.config import Backend, Settings
from comfyq.ports.clock import Clock


def open_ports(settings: Settings, *, clock: Clock | None = None) -> Ports:
    """Open the ports of the backend that ``settings`` names, by default on the machine's clock.

    A backend's adapters are imported when it is opened: their packages are extras, which not every
    installation has.

    Raises:
        MissingSetting: the backend needs one more setting, which the message names.
    """
    clock = clock or SystemClock()
    if settings.backend is Backend.EMBEDDED:
        from comfyq.bootstrap.backends.embedded import embedded_ports

        ports = embedded_ports(settings, clock)
    else:
        from comfyq.bootstrap.backends.aws import aws_ports

        ports = aws_ports(settings, clock)
    ports = replace(
        ports,
        table=MeasuredTable(ports.table),
        queue=MeasuredQueue(ports.queue),
        joint=None if ports.joint is None else MeasuredJointWrites(ports.joint),
    )
    if settings.minio.endpoint is None:
        return ports
    from comfyq.bootstrap.backends.minio import with_minio

    return with_minio(ports, settings.minio)
