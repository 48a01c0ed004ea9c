from collections.abc import Iterable

from fastapi.routing import APIRoute

from comfyq.bootstrap.api import ROUTERS
from comfyq.bootstrap.comfy_api import COMFY_ROUTERS
from comfyq.bootstrap.generate_api import GENERATE_ROUTERS, is_for_generate
from comfyq.bootstrap.services import Services
from comfyq.edges.api.router import Router
from comfyq.wire.comfy_v2.errors import is_enveloped


def names_of(routers: Iterable[Router[Services]]) -> set[tuple[str, str]]:
    """The path and the operation of each route."""
    routes = (route for router in routers for route in router.routes)
    return {(route.path, route.name) for route in routes if isinstance(route, APIRoute)}


def test_the_function_serves_each_route_below_generate_without_the_other_routers() -> None:
    below_generate = {each for each in names_of(ROUTERS) if is_for_generate(each[0])}
    assert below_generate == names_of(GENERATE_ROUTERS)


def test_it_serves_each_route_of_the_comfy_api_without_the_other_routers() -> None:
    below_api = {each for each in names_of(ROUTERS) if is_enveloped(each[0])}
    assert below_api == names_of(COMFY_ROUTERS)
