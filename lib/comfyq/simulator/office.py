"""Everything that the routes work with, put together once."""

from dataclasses import dataclass
from pathlib import Path

from comfyq.simulator import messages
from comfyq.simulator.calls import Workshop
from comfyq.simulator.catalog import Catalog, load_catalog
from comfyq.simulator.execution import Executor
from comfyq.simulator.faults import FaultSwitch
from comfyq.simulator.inspection import Rules
from comfyq.simulator.jobs import Jobs
from comfyq.simulator.prompts import History, PromptQueue
from comfyq.simulator.run import Interrupt, Surroundings
from comfyq.simulator.settings import SimulatorSettings
from comfyq.simulator.sockets import SocketHub
from comfyq.simulator.stats import Stats
from comfyq.simulator.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Office:
    """The parts of one simulator."""

    settings: SimulatorSettings
    faults: FaultSwitch
    stats: Stats
    storage: Storage
    catalog: Catalog
    hub: SocketHub
    queue: PromptQueue
    history: History
    jobs: Jobs
    executor: Executor
    rules: Rules


def open_office(settings: SimulatorSettings, data_dir: Path) -> Office:
    """Put the parts together. Call it inside the event loop that will serve them."""
    faults, stats, storage = FaultSwitch(settings.faults), Stats(), Storage(data_dir)
    hub, catalog = SocketHub(faults=faults), load_catalog()
    queue = PromptQueue(on_change=lambda: hub.send(messages.status(queue.remaining)))
    history = History(faults=faults)
    surroundings = Surroundings(
        workshop=Workshop(settings=settings, storage=storage, stats=stats),
        catalog=catalog,
        hub=hub,
        faults=faults,
        interrupt=Interrupt(),
    )
    return Office(
        settings=settings,
        faults=faults,
        stats=stats,
        storage=storage,
        catalog=catalog,
        hub=hub,
        queue=queue,
        history=history,
        jobs=Jobs(queue=queue, history=history),
        executor=Executor(surroundings=surroundings, queue=queue, history=history),
        rules=Rules(
            catalog=catalog,
            wire=settings.wire,
            has_input_file=lambda name: storage.input_file(name) is not None,
        ),
    )
