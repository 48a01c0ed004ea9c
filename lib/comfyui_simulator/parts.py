"""The parts that the routes work with, wired once."""

from dataclasses import dataclass
from pathlib import Path

from comfyui_simulator import messages
from comfyui_simulator.catalogue import Catalogue, load_catalogue
from comfyui_simulator.faults import FaultSwitch
from comfyui_simulator.nodes.call import NodeContext
from comfyui_simulator.running.jobs import Jobs
from comfyui_simulator.running.prompt_queue import History, PromptQueue
from comfyui_simulator.running.prompt_runner import PromptRunner
from comfyui_simulator.running.run import Interrupt, RunContext
from comfyui_simulator.settings import SimulatorSettings
from comfyui_simulator.sockets import SocketHub
from comfyui_simulator.stats import Stats
from comfyui_simulator.storage import Storage
from comfyui_simulator.validation.inspection import Rules


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one simulator."""

    settings: SimulatorSettings
    faults: FaultSwitch
    stats: Stats
    storage: Storage
    catalogue: Catalogue
    hub: SocketHub
    queue: PromptQueue
    history: History
    jobs: Jobs
    executor: PromptRunner
    rules: Rules


def open_parts(settings: SimulatorSettings, data_dir: Path) -> Parts:
    """Put the parts together. Call it inside the event loop that will serve them."""
    faults, stats, storage = FaultSwitch(settings.faults), Stats(), Storage(data_dir)
    hub, catalogue = SocketHub(faults=faults), load_catalogue(settings.models_dir)
    queue = PromptQueue(on_change=lambda: hub.send(messages.status(queue.remaining)))
    history = History(faults=faults)
    context = RunContext(
        nodes=NodeContext(settings=settings, storage=storage, stats=stats),
        catalogue=catalogue,
        hub=hub,
        faults=faults,
        interrupt=Interrupt(),
    )
    return Parts(
        settings=settings,
        faults=faults,
        stats=stats,
        storage=storage,
        catalogue=catalogue,
        hub=hub,
        queue=queue,
        history=history,
        jobs=Jobs(queue=queue, history=history),
        executor=PromptRunner(context=context, queue=queue, history=history),
        rules=Rules(
            catalogue=catalogue,
            wire=settings.wire,
            has_input_file=lambda name: storage.input_file(name) is not None,
        ),
    )
