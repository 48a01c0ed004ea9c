"""The reference of the progress socket's frames, from their models."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from comfyq.wire.generate.batch_counts import BatchCounts
from comfyq.wire.generate.frames import (
    BatchFrame,
    ErrorFrame,
    PingFrame,
    PongFrame,
    PreviewFrame,
    ProgressFrame,
    SubscribeFrame,
    UnsubscribedFrame,
    UnsubscribeFrame,
)
from comfyq.wire.generate.provisioning import ProvisioningView
from infra.docs.comments import comments_of
from infra.docs.markdown import code, prose, table, whole_page
from infra.docs.schemas import type_of

INTRODUCTION = """\
Two sockets push progress. `urls.ws` of a job names the one to use, and `urls.ws_subscribe` the
frame to send on it, where one is needed. Where answers can be held open, `urls.events` streams the
same frames.

- `ws://HOST/ws/progress/ID`, on one machine: it subscribes by itself, sends frames in order,
  repeats the last one each minute, and is closed with code 1000 after the job's end.
- The WebSocket API of API Gateway, on AWS, and `ws://HOST/local`, which speaks the same on one
  machine: send `{"action": "subscribe", "job_id": "…"}`. Frames may overtake each other; drop one
  that is older than the last, by `seq` and, within the same `seq`, by `progress`. AWS closes a
  socket that was silent for ten minutes, so send `{"action": "ping"}` every five.

Every frame is one JSON object. The first frame after a subscription is the job as it is then."""

TO_CLIENT: Sequence[type[BaseModel]] = (
    ProgressFrame,
    ProvisioningView,
    PreviewFrame,
    BatchFrame,
    BatchCounts,
    ErrorFrame,
    PongFrame,
    UnsubscribedFrame,
)
FROM_CLIENT: Sequence[type[BaseModel]] = (SubscribeFrame, UnsubscribeFrame, PingFrame)


def page() -> str:
    parts = [INTRODUCTION, "## To the client"]
    for model in TO_CLIENT:
        parts += _frame(model)
    parts.append("## From the client")
    for model in FROM_CLIENT:
        parts += _frame(model)
    return whole_page("Progress frames", *parts)


def _frame(model: type[BaseModel]) -> Iterator[str]:
    schema, comments = model.model_json_schema(), dict[str, str]()
    for each in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        comments |= comments_of(each)
    yield f"### {model.__name__}"
    if model.__doc__:
        yield prose(model.__doc__)
    rows = [
        (code(name), type_of(each), comments.get(name) or each.get("description", ""))
        for name, each in schema["properties"].items()
    ]
    yield table(("field", "type", "meaning"), rows)
