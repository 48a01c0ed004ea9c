"""``/dead``: what the queues gave up on."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from comfyq.edges.api.cursors import decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import Asker, Services
from comfyq.wire.dead_letters import DeadLetterList, DeadLetterView, RedrivenView

router = APIRouter(prefix="/dead", tags=["dead letters"])

LetterId = Annotated[str, Path(max_length=100, pattern=r"^[\w.-]+$")]


@router.get("")
async def dead_letters(
    api: Services,
    caller: Asker,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(description="`next_cursor` of a page.")] = None,
) -> DeadLetterList:
    """Messages that were received too often, or could not be understood; kept for 14 days."""
    after = None if cursor is None else decode_cursor(cursor)
    page = await api.dead_letters.list(caller, limit=limit, after=after)
    return DeadLetterList(
        letters=[DeadLetterView.of(letter) for letter in page.letters],
        next_cursor=None if page.cursor is None else encode_cursor(page.cursor),
    )


@router.get("/{letter_id}")
async def dead_letter(api: Services, caller: Asker, letter_id: LetterId) -> DeadLetterView:
    """One of them, with its whole body."""
    return DeadLetterView.of(await api.dead_letters.get(caller, letter_id))


@router.post("/{letter_id}/redrive")
async def redrive(api: Services, caller: Asker, letter_id: LetterId) -> RedrivenView:
    """Send it again: ring for the job that it names, or submit what it asks for once more."""
    letter, outcome = await api.dead_letters.redrive(caller, letter_id)
    return RedrivenView(letter=DeadLetterView.of(letter), outcome=outcome)
