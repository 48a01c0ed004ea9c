"""The shapes of answers: what this client relies on in the JSON that a server sends.

A field that no shape names may be anything, and null is as good as nothing, but for what is
required: a newer server breaks no older client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, Union

LARGEST_NUMBER = 1e300  # beyond it, an int is none that a float could show
NUMBER = float  # or an int
Kind: TypeAlias = Union[type, "Shape", "ListOf"]
WORDS = {
    str: "text",
    NUMBER: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: the fields that it has to have, and the kinds of those that are read."""

    required: Sequence[str] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    present: Sequence[str] = ()  # that may be null, but have to be there


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one kind."""

    kind: Kind


def fault_of(value: Any, kind: Kind, at: str = "") -> str | None:
    """Return how a value differs from its kind; it stands ``at`` this place. None: it does not."""
    if isinstance(kind, ListOf):
        if not isinstance(value, list):
            return _other(value, list, at)
        faults = (fault_of(each, kind.kind, _within(at, n)) for n, each in enumerate(value))
        return next(filter(None, faults), None)
    if isinstance(kind, Shape):
        return _fault_of_object(value, kind, at)
    return None if _is(value, kind) else _other(value, kind, at)


def _fault_of_object(value: Any, shape: Shape, at: str) -> str | None:
    if not isinstance(value, dict):
        return _other(value, dict, at) if at else "that is no JSON object, so it is not comfyq"
    missing = [name for name in shape.required if value.get(name) is None]
    missing += [name for name in shape.present if name not in value]
    if missing:
        told = f"`{_within(at, missing[0])}` is missing"
        return told if at else f"{told}, so it is not comfyq"
    known = ((name, kind) for name, kind in shape.kinds.items() if value.get(name) is not None)
    faults = (fault_of(value[name], kind, _within(at, name)) for name, kind in known)
    return next(filter(None, faults), None)


def _is(value: Any, kind: type) -> bool:
    if kind is NUMBER:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and abs(value) <= LARGEST_NUMBER  # NaN is none either
    return isinstance(value, kind)


def _other(value: Any, kind: type, at: str) -> str:
    found = NUMBER if type(value) is int else type(value)
    told = "a number that is none" if found is kind else WORDS[found]
    return f"`{at}` is {told}, where {WORDS[kind]} belongs"


def _within(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)


TEXTS = ListOf(str)
OBJECT = Shape()
COUNTS = Shape(
    kinds={
        name: NUMBER
        for name in ("queued", "running", "completed", "failed", "canceled", "refused", "gone")
    }
)
URLS = Shape(kinds={name: str for name in ("self", "cancel", "ws", "events")})

STATE: Mapping[str, Kind] = {
    "status": str,
    "error_code": str,
    "image_url": str,
    "waits_for": str,
    "node": str,
    "node_class": str,
    **{
        name: NUMBER
        for name in (
            "progress",
            "step",
            "max_steps",
            "nodes_done",
            "nodes_total",
            "eta_s",
            "queue_position",
            "seq",
            "attempt",
            "size",
        )
    },
    "provisioning": Shape(kinds={"bytes": NUMBER, "total": NUMBER, "eta_s": NUMBER}),
    "counts": COUNTS,
}
"""Fields of jobs and batches, and of frames about them."""

FRAME = Shape(kinds={**STATE, "error": str, "message": str, "job_id": str, "batch_id": str})
ATTEMPT = Shape(kinds={"number": NUMBER, "worker": str, "verdict": str, "reason": str})
JOB = Shape(
    ("id", "status"),
    {
        **STATE,
        "id": str,
        "error": str,
        "workflow": str,
        "title": str,
        "labels": Shape(),
        "created_at": str,
        "started_at": str,
        "ended_at": str,
        "queue_position_above": NUMBER,
        "priority": NUMBER,
        "seed": NUMBER,
        "warnings": TEXTS,
        "outputs": ListOf(OBJECT),  # each is checked where it is fetched
        "more_outputs": str,
        "retry_of": str,
        "reused_from": str,
        "urls": URLS,
        "parameters": OBJECT,
        "failures": NUMBER,
        "running_attempt": ATTEMPT,
        "attempts": ListOf(ATTEMPT),
    },
)
REFUSED_FIELD = Shape(kinds={"field": str, "message": str})
REFUSAL = Shape(kinds={"code": str, "detail": str, "errors": ListOf(REFUSED_FIELD)})
ITEM = Shape(("index",), {"index": NUMBER, "original_index": NUMBER, "job": JOB, "error": REFUSAL})
BATCH = Shape(
    ("batch_id",),
    {
        **STATE,
        "batch_id": str,
        "created_at": str,
        "retry_of": Shape(kinds={"batch_id": str, "size": NUMBER}),
        "items": ListOf(ITEM),
        "urls": URLS,
    },
)
BATCH_WITH_ITEMS = Shape(("batch_id",), BATCH.kinds, present=("items",))
ASSET = Shape(
    kinds={
        **{name: str for name in ("id", "source", "filename", "content_type", "blake3", "url")},
        "size": NUMBER,
        "created_at": str,
        "expires_at": str,
    }
)
STORED = Shape(("source",), ASSET.kinds)
OFFER = Shape(
    ("id", "method", "url", "headers"), {"id": str, "method": str, "url": str, "headers": OBJECT}
)
SUMMARY = Shape(
    ("name",),
    {
        **{name: str for name in ("name", "title", "description", "version")},
        "reasons": TEXTS,
        "takes": TEXTS,
    },
)
WORKFLOW = Shape(
    ("parameters",),
    {
        **SUMMARY.kinds,
        "parameters": OBJECT,
        "presets": OBJECT,
        "negative_prompts": OBJECT,
        "sample": OBJECT,
        "models": ListOf(OBJECT),
        "nodes": ListOf(OBJECT),
        "outputs": TEXTS,
    },
)
API_KEY = Shape(
    kinds={"id": str, "tenant": str, "name": str, "scopes": TEXTS, "requests_per_minute": NUMBER}
)
NEW_KEY = Shape(("id", "key"), {**API_KEY.kinds, "key": str})
QUOTA = Shape(
    kinds={
        "tenant": str,
        "scopes": TEXTS,
        "requests": ListOf(
            Shape(
                ("of", "limit"),
                {
                    "of": str,
                    **{n: NUMBER for n in ("limit", "window_s", "remaining", "full_in_s")},
                },
            )
        ),
        "jobs_per_day": Shape(kinds={"limit": NUMBER, "used": NUMBER, "ends_at": str}),
        **{
            name: Shape(kinds={"limit": NUMBER, "used": NUMBER})
            for name in ("waiting_jobs", "stored_bytes", "output_bytes")
        },
    }
)
REDRIVEN = Shape(("letter", "outcome"), {"letter": OBJECT, "outcome": str})
HEALTH = Shape(
    ("status",),
    {"status": str, "version": str, "reason": str, "workers": ListOf(OBJECT), "stalls": NUMBER},
)


def page_of(name: str, item: Kind) -> Shape:
    """Return the shape of a page of a list."""
    return Shape((name,), {name: ListOf(item), "next_cursor": str, "more_outputs": str})
