"""A workflow's typed inputs; ``kinds`` defines what each kind accepts and binds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.files.inputs import Fit
from comfyq.domain.files.sources import without_secrets
from comfyq.domain.graph.graph import Input, Ref
from comfyq.domain.graph.value_range import ValueRange

# what a request says beside its workflow's parameters, now or one day
RESERVED = frozenset(
    {
        "workflow",
        "graph",
        "overrides",
        "extra_data",
        "wait",
        "preset",
        "negative_preset",
        "dry_run",
        "idempotency_key",
        "reuse",
        "metadata",
        "no_metadata",
        "labels",
        "priority",
        "webhook",
        "webhook_url",
        "batch_id",
        "parameters",
        "requests",
    }
)
SHOWN_CHARS = 60  # of a client's own value, quoted in a message to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One input, as the manifest declares it; a kind reads only the fields that concern it."""

    name: str
    kind: str
    required: bool = False
    default: Any = None  # what a request that leaves it out gets
    bindings: tuple[Input, ...] = ()  # where the value lands in the graph
    minimum: float | None = None  # of a LoRA list: of each strength
    maximum: float | None = None
    multiple_of: int | None = None
    declared: ValueRange = field(
        default_factory=ValueRange
    )  # of the catalogue, for values that nobody sent
    choices: tuple[str, ...] | None = None  # None: any
    source: str = ""  # of a worker's catalogue, which then has the choices; see catalogue.SOURCES
    min_length: int = 0  # characters
    max_length: int = 10_000  # characters
    max_items: int = 100
    model: Ref | None = None  # what LoRAs are chained behind
    clip: Ref | None = None
    fit: Fit = "none"  # how a picture is brought to size, unless the request says
    size_from: tuple[str, ...] = ()  # the parameters that are its width and height
    reason: str = ""  # why it has no effect
    title: str = ""
    help: str = ""
    group: str = ""
    unit: str = ""


class BadValue(Exception):
    """A value that its parameter does not accept.

    ``errors`` are (path below the parameter or "", message): a list may be wrong in many places.
    """

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("; ".join(message for _, message in errors))
        self.errors: Sequence[tuple[str, str]] = errors


def bad(message: str) -> BadValue:
    return BadValue(("", message))


def type_name(value: object) -> str:
    """The JSON type of a value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case _:
            return "an object"


def shown(value: object) -> str:
    """Format a scalar for a message: short, printable and without secrets of URLs, whatever the
    client sent."""
    if isinstance(value, str):
        value = without_secrets(value)
        text = repr(value) if value.isprintable() else ascii(value)
    else:
        text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
