"""A ComfyUI without a GPU: the same wire protocol, and pictures that say SIMULATED.

It speaks HTTP and WebSocket as ComfyUI 0.3.75 or 0.33.0 do, closely enough that a worker cannot
tell, executes graphs in the same order with the same cache, and fails on demand. It stands alone:
nothing here imports the rest of comfyq.

    async with Simulator(SimulatorSettings(step_s=0.05)) as simulator:
        ...  # talk to simulator.url

What is not real: there are no models, so a picture follows from a digest of everything that would
have made it (equal inputs, equal pixels; any difference, other pixels). Sound is a FLAC tone, and
videos are the header of their container without frames.
"""

from comfyui_simulator.faults import Faults
from comfyui_simulator.server import Simulator, serve
from comfyui_simulator.settings import GENERATIONS, SimulatorSettings

__all__ = ["GENERATIONS", "Faults", "Simulator", "SimulatorSettings", "serve"]
