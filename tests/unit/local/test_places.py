"""Connections and sockets are no more than the files that a process may open."""

import resource

import pytest

from comfyq.config import LocalSettings
from comfyq.local.limits.places import affordable


@pytest.mark.parametrize(
    ("files", "connections", "sockets"),
    [
        (1_024, (1_000, 256), (1_000, 256)),
        (1_024, (100, 51), (900, 460)),
        (4_000, (1_000, 1_000), (1_000, 1_000)),
        (resource.RLIM_INFINITY, (1_000, 1_000), (1_000, 1_000)),
        (16, (1_000, 7), (1, 1)),
    ],
)
def test_half_of_the_files_are_shared(
    files: int,
    connections: tuple[int, int],
    sockets: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    asked = LocalSettings(connections=connections[0], sockets=sockets[0])
    shared = affordable(asked)
    assert (shared.connections, shared.sockets) == (connections[1], sockets[1])
