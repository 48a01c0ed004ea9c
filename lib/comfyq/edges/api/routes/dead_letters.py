"""``/dead``: what the queues gave up on."""

from typing import Annotated, Protocol

from fastapi import Depends, Path, Query

from comfyq.edges.api.authentication import Operator, tenant_for
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.ids import TenantInQuery
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.services.operations.dead_letters import DeadLetters
from comfyq.wire.dead_letters import DeadLetterList, DeadLetterView, RedrivenView


class DeadLetterServices(Protocol):
    """The services that these routes call."""

    @property
    def dead_letters(self) -> DeadLetters: ...


Services = Annotated[DeadLetterServices, Depends(services_of)]

router = Router[DeadLetterServices](prefix="/dead", tags=["dead letters"])

LetterId = Annotated[str, Path(max_length=100, pattern=r"^[\w.-]+$")]


@router.get("")
async def listing(
    services: Services,
    caller: Operator,
    tenant: TenantInQuery = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorInQuery = None,
) -> DeadLetterList:
    """Messages of a tenant that were received too often, or could not be understood; kept for 14
    days. Those that are nobody's are the tenant `default`'s."""
    after = None if cursor is None else decode_cursor(cursor)
    page = await services.dead_letters.list(tenant_for(caller, tenant), limit=limit, after=after)
    return DeadLetterList(
        letters=[DeadLetterView.of(letter) for letter in page.dead_letters],
        next_cursor=None if page.cursor is None else encode_cursor(page.cursor),
    )


@router.get("/{letter_id}", responses=problems(404))
async def show(services: Services, caller: Operator, letter_id: LetterId) -> DeadLetterView:
    """One of them, with its whole body."""
    return DeadLetterView.of(await services.dead_letters.get(letter_id))


@router.post("/{letter_id}/redrive", responses=problems(404, 409))
async def redrive(services: Services, caller: Operator, letter_id: LetterId) -> RedrivenView:
    """Send it again: ring for the job that it names, or submit what it asks for once more."""
    letter, outcome = await services.dead_letters.redrive(caller, letter_id)
    return RedrivenView(letter=DeadLetterView.of(letter), outcome=outcome)
