"""A port that serves a process's metrics from a thread of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EADDRINUSE

from prometheus_client import start_http_server

from comfyq.adapters.prometheus.exposition import Source, registry_of

TRIED = 16  # ports from the first on: processes of one machine have the same settings


class PortsTaken(Exception):
    """None of the ports is free, or the address is not this machine's."""


@contextmanager
def serving_metrics(source: Source, *, version: str, host: str, port: int) -> Iterator[int]:
    """Serve ``source`` while the body runs, and yield the port: the first free one.

    Raises:
        PortsTaken: there is none, or the server cannot listen for another reason.
    """
    registry = registry_of(source, version=version)
    for each in range(port, port + TRIED):
        try:
            server, thread = start_http_server(each, addr=host, registry=registry)
        except OSError as refused:
            if refused.errno == EADDRINUSE:
                continue
            raise PortsTaken(f"cannot serve metrics at {host}:{each}: {refused}") from refused
        break
    else:
        raise PortsTaken(f"cannot serve metrics: {host}:{port} and the next {TRIED - 1} are taken")
    try:
        yield each
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
