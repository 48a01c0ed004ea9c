"""Run a comfyq command whose ports fail as its environment says.

usage: python -m tests.faulty_process COMMAND [OPTION...]

``COMFYQ_TEST_FAULTS`` is a JSON list of rules (see comfyq.testing.faults), and
``COMFYQ_TEST_CLOCK_AHEAD_S`` makes the clock wrong by that many seconds.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from comfyq.adapters.system.clock import SystemClock
from comfyq.bootstrap import backends as bootstrap
from comfyq.bootstrap.ports import Ports
from comfyq.config import Settings
from comfyq.testing.faults.assets import FaultyAssets
from comfyq.testing.faults.clock import SkewedClock
from comfyq.testing.faults.joint import FaultyJointWrites
from comfyq.testing.faults.notifier import FaultyNotifier
from comfyq.testing.faults.queue import FaultyQueue
from comfyq.testing.faults.rules import Rule, rules_of
from comfyq.testing.faults.table import FaultyTable

FAULTS = "COMFYQ_TEST_FAULTS"
CLOCK_AHEAD_S = "COMFYQ_TEST_CLOCK_AHEAD_S"

open_ports = bootstrap.open_ports


def main() -> None:
    """Put the faults in before anything else imports the functions that they replace."""
    rules = rules_of(json.loads(os.environ.get(FAULTS, "[]")))  # noqa: TID251 - of tests alone
    ahead_s = float(os.environ.get(CLOCK_AHEAD_S, "0"))  # noqa: TID251 - of tests alone
    bootstrap.open_ports = partial(_open_faulty, rules=rules, ahead_s=ahead_s)
    from comfyq.cli import main as comfyq

    comfyq()


def _open_faulty(settings: Settings, *, rules: Sequence[Rule], ahead_s: float) -> Ports:
    ports = open_ports(settings, clock=SkewedClock(SystemClock(), ahead_s=ahead_s))
    # Faults of the queue strike between the table's write and the queue's: there are two then.
    is_joint = ports.joint is not None and not any(rule.port == "queue" for rule in rules)
    return replace(
        ports,
        table=FaultyTable(ports.table, rules),
        queue=ports.queue if is_joint else FaultyQueue(ports.queue, rules),
        joint=FaultyJointWrites(ports.joint, rules) if is_joint and ports.joint else None,
        assets=FaultyAssets(ports.assets, rules),
        notifier=FaultyNotifier(ports.notifier, rules),
    )


if __name__ == "__main__":
    main()
