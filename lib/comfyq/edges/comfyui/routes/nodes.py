"""``/object_info``, ``/models`` and the like: what the workers' ComfyUI have."""

import json
from collections.abc import Mapping
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Path, Response
from fastapi.responses import JSONResponse

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import Reader, needs
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.comfyui.router import BASE, ComfyUIRouter
from comfyq.services.files.uploads import Uploads
from comfyq.services.operations.live_workers import LiveWorkers
from comfyq.services.workflows.node_catalogues import KnownCatalogues
from comfyq.services.workflows.object_info import ObjectInfo
from comfyq.wire.comfyui.messages import METADATA

OLD_FOLDERS: Mapping[str, str] = {"unet": "diffusion_models", "clip": "text_encoders"}
JSON = "application/json"


class NodeRouteServices(Protocol):
    """The services that these routes call."""

    @property
    def object_info(self) -> ObjectInfo: ...

    @property
    def catalogues(self) -> KnownCatalogues: ...

    @property
    def live_workers(self) -> LiveWorkers: ...

    @property
    def uploads(self) -> Uploads: ...


Services = Annotated[NodeRouteServices, Depends(services_of)]
Name = Annotated[str, Path(max_length=500)]
READS = [needs(Scope.READ)]

router = ComfyUIRouter[NodeRouteServices]()


@router.get(f"{BASE}object_info", dependencies=READS)
async def object_info(services: Services) -> Response:
    """Every node class that a live worker has."""
    classes = await services.object_info.classes()
    named = [_encoded(name) + b":" + each for name, each in classes.items()]
    return Response(b"{" + b",".join(named) + b"}", media_type=JSON)


@router.get(f"{BASE}object_info/{{name}}", dependencies=READS)
async def class_info(services: Services, name: Name) -> Response:
    """One node class; nothing where no worker has it."""
    found = (await services.object_info.classes()).get(name)
    content = b"{}" if found is None else b"{" + _encoded(name) + b":" + found + b"}"
    return Response(content, media_type=JSON)


@router.get(f"{BASE}models", dependencies=READS)
async def model_folders(services: Services) -> Response:
    """The kinds of models that are known."""
    known = await services.catalogues.known()
    return JSONResponse(sorted({kind for each in known for kind in each.models}))


@router.get(f"{BASE}models/{{folder}}", dependencies=READS)
async def models(services: Services, folder: Name) -> Response:
    """The names of models of one kind."""
    kind = OLD_FOLDERS.get(folder, folder)
    known = await services.catalogues.known()
    if not any(kind in each.models for each in known):
        raise HTTPException(404, f"there is no folder {folder!r} of models")
    return JSONResponse(sorted({name for each in known for name in each.models.get(kind, ())}))


@router.get(f"{BASE}embeddings", dependencies=READS)
async def embeddings() -> Response:
    """None: catalogues of nodes do not say which there are. Prompts may name them all the same."""
    return JSONResponse([])


@router.get(f"{BASE}extensions", dependencies=READS)
async def extensions() -> Response:
    """None: the editor is not served here."""
    return JSONResponse([])


@router.get(f"{BASE}features", dependencies=READS)
async def features(services: Services) -> Response:
    """What of newer versions of the API is served."""
    return JSONResponse({METADATA: True, "max_upload_size": services.uploads.max_bytes})


@router.get(f"{BASE}system_stats")
async def system_stats(services: Services, caller: Reader) -> Response:
    """The version of ComfyUI, and one device for each worker that takes jobs; of their memory
    nothing is known here."""
    workers = [each.state for each in await services.live_workers.list(caller)]
    versions = sorted({each.engine_version for each in workers if each.engine_version})
    system = {
        "os": "comfyq",
        "ram_total": 0,
        "ram_free": 0,
        "comfyui_version": versions[-1] if versions else "unknown",
        "python_version": "unknown",
        "pytorch_version": "unknown",
        "embedded_python": False,
        "argv": [],
    }
    memory = {"vram_total": 0, "vram_free": 0, "torch_vram_total": 0, "torch_vram_free": 0}
    able = sum(each.takes_jobs for each in workers)
    devices = [
        {"name": f"worker {index}", "type": "comfyq", "index": index, **memory}
        for index in range(able)
    ]
    return JSONResponse({"system": system, "devices": devices})


@router.post(f"{BASE}free", dependencies=[needs(Scope.SUBMIT)])
async def free() -> Response:
    """Nothing: which models stay loaded is the workers' own choice."""
    return Response()


def _encoded(name: str) -> bytes:
    return json.dumps(name).encode()
