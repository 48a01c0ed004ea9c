"""The APIs of others that a server is asked to speak, each a list of routers."""

from collections.abc import Iterator, Mapping, Sequence

from comfyq.bootstrap.services import Services
from comfyq.config import ApiSettings, Facade
from comfyq.edges.a1111.routes import fixed, listings, options, state
from comfyq.edges.a1111.routes import images as a1111_images
from comfyq.edges.api.router import Router
from comfyq.edges.comfyui.routes import files, nodes, prompts, queue, sockets
from comfyq.edges.openai.routes import images, models
from comfyq.edges.runpod.routes import health, jobs

FACADE_ROUTERS: Mapping[Facade, Sequence[Router[Services]]] = {
    Facade.A1111: (
        a1111_images.router,
        state.router,
        options.router,
        listings.router,
        fixed.router,
    ),
    Facade.OPENAI: (images.router, models.router),
    Facade.RUNPOD: (jobs.router, health.router),
    Facade.COMFYUI: (prompts.router, queue.router, files.router, nodes.router, sockets.router),
}


def facade_routers(settings: ApiSettings) -> Iterator[Router[Services]]:
    """Yield the routers of every facade that is switched on."""
    for facade, routers in FACADE_ROUTERS.items():
        if facade in settings.served_facades:
            yield from routers
