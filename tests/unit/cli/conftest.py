"""Pauses of the commands that tests have no time for."""

import pytest

from comfyq.client.sender import Patience


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make looks at what is not pushed, and tries of a server that is away, follow at once."""
    pauses = {"pause_s": 0.001, "longest_pause_s": 0.01}
    monkeypatch.setattr("comfyq.client.flows.following.LOOK", Patience(**pauses))
    monkeypatch.setattr("comfyq.cli.client.PATIENT", Patience(give_up_s=30, **pauses))
    return monkeypatch
