"""``/prompt``: graphs to run, and how many go on."""

from typing import Annotated, Protocol

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.submission.request import Request as Asked
from comfyq.edges.api.authentication import Reader, needs
from comfyq.edges.api.dependencies import ClientLinks, services_of
from comfyq.edges.comfyui.jobs import FindServices
from comfyq.edges.comfyui.loaded_files import FileServices, with_files
from comfyq.edges.comfyui.prompts import json_of, prompt_of
from comfyq.edges.comfyui.queue import unfinished
from comfyq.edges.comfyui.router import BASE, ComfyUIRouter
from comfyq.edges.comfyui.views import number_of
from comfyq.services.jobs.submission import Submission
from comfyq.services.notify.client_sockets import ClientSockets

IDEMPOTENCY = "comfyui:"  # begins the keys that ids of clients make


class PromptRouteServices(FindServices, FileServices, Protocol):
    """The services that these routes call."""

    @property
    def submission(self) -> Submission: ...

    @property
    def client_sockets(self) -> ClientSockets: ...


GraphSubmitter = Annotated[Caller, needs(Scope.SUBMIT, Scope.GRAPH)]
Services = Annotated[PromptRouteServices, Depends(services_of)]

router = ComfyUIRouter[PromptRouteServices]()


@router.post(f"{BASE}prompt")
async def submit(
    request: Request, services: Services, caller: GraphSubmitter, links: ClientLinks
) -> Response:
    """Run a graph. The sockets that its client has open are told of it.

    A client may give the job an id of its own: the same request with the same id makes one job.
    """
    prompt = prompt_of(await json_of(request))
    asked = Asked(
        graph=await with_files(prompt.graph, services, caller),
        extra_data=prompt.extra_data,
        priority=prompt.priority,
        labels=prompt.labels,
        partner_key=prompt.partner_key,
        base_url=links.base_url,
    )
    key = None if prompt.prompt_id is None else f"{IDEMPOTENCY}{prompt.prompt_id}"
    job = (await services.submission.submit(caller, asked, idempotency_key=key)).job
    if prompt.client is not None:
        await services.client_sockets.follow_new(caller, prompt.client, job)
    shown_id = job.id if prompt.prompt_id is None else prompt.prompt_id
    return JSONResponse({"prompt_id": shown_id, "number": number_of(job), "node_errors": {}})


@router.get(f"{BASE}prompt")
async def remaining(services: Services, caller: Reader) -> Response:
    """How many of your jobs go on, up to as many as `/queue` lists."""
    jobs = await unfinished(services, caller)
    return JSONResponse({"exec_info": {"queue_remaining": len(jobs)}})
