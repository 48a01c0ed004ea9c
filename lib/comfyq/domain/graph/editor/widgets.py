"""Values of a node's widgets, by the names of the inputs that they are for.

An editor file lists them without names, in the order of the node's inputs; some widgets have one
more value behind their own, which only the editor uses.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.dynamic_inputs import COMBO as DYNAMIC_COMBO
from comfyq.domain.graph.dynamic_inputs import inputs_below
from comfyq.domain.graph.editor.document import Node
from comfyq.domain.graph.node_catalogue import InputSpec, NodeClass

PLAIN = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
DRAWN = frozenset({"LOAD_3D", "WEBCAM", "AUDIO_RECORD"})  # widgets that draw or record
MADE = frozenset({"image", "audio"})  # what they make is for inputs of these names
TYPES = PLAIN | DRAWN | {DYNAMIC_COMBO, "COLOR", "CURVE", "RANGE", "COMPOSITOR", "IMAGECOMPARE"}
SEEDS = frozenset({"seed", "noise_seed"})
CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
UPLOADS = frozenset({"image_upload", "video_upload", "audio_upload", "file_upload"})
BUTTONS = frozenset({"upload3dmodel", "uploadExtraResources", "clear"})  # of the 3D loaders
EMPTY: Mapping[str, Any] = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value of the editor's alone, such as the name on an upload button."""


Entry = InputSpec | Unknown


@dataclass(frozen=True, slots=True)
class WidgetValues:
    """The value of each widget of a node by its input, without those that have none."""

    given: Mapping[str, Any]
    lacking: tuple[str, ...]  # required, but not in the file: ``given`` has their defaults


def values_of(node: Node, node_class: NodeClass) -> WidgetValues:
    """Return the values of a node's widgets."""
    marked = {slot.widget for slot in node.inputs if slot.widget is not None}
    entries = list(_entries(node_class, marked))
    named = node.values if isinstance(node.values, Mapping) else node.named
    lacking: list[InputSpec] = []
    if named:
        given = _by_name(entries, named, lacking)
    else:
        given = _by_place(entries, node.values if isinstance(node.values, list) else [], lacking)
    return WidgetValues(
        {name: value for name, value in given.items() if value is not None},
        tuple(spec.name for spec in lacking if _is_plain(spec)),
    )


def is_widget(spec: InputSpec) -> bool:
    """Return whether the editor shows a widget for an input, not only a socket."""
    options = spec.options
    if options.get("forceInput") or options.get("rawLink"):
        return False
    by_type = isinstance(spec.type, list) or spec.type in TYPES
    return by_type or "widgetType" in options or "socketless" in options


def is_drawn(spec: InputSpec) -> bool:
    """Return whether the editor makes an input's value when it submits: no file has it."""
    return spec.required and spec.name in MADE and isinstance(spec.type, str) and spec.type in DRAWN


def default_of(spec: InputSpec) -> Any:
    """Return the value of a widget that nobody has touched; None if there is none."""
    if "default" in spec.options:
        return spec.options["default"]
    choices = spec.choices or _keys(spec)
    if choices:
        return choices[0]
    if not isinstance(spec.type, str):
        return None
    # What the editor shows before anything is drawn is empty text, which no plain type takes.
    return EMPTY.get(spec.type, None if spec.type in PLAIN else "")


def _entries(node_class: NodeClass, marked: Iterable[str]) -> Iterator[Entry]:
    """List a class's widgets in the editor's order; ``marked`` are those that the file shows."""
    shown = frozenset(marked)
    specs = list(node_class.inputs.values())
    uploads = any(not UPLOADS.isdisjoint(spec.options) for spec in specs)
    for required in (True, False):
        for spec in specs:
            forced = spec.options.get("forceInput")
            if spec.required is required and (
                is_widget(spec) or (spec.name in shown and not forced)
            ):
                yield spec
        if required and uploads:
            yield Unknown()


def _is_plain(spec: InputSpec) -> bool:
    """Return whether an input's widget is one whose value a file always has."""
    return isinstance(spec.type, list) or spec.type in PLAIN or spec.type == DYNAMIC_COMBO


def _by_place(
    entries: Sequence[Entry], values: Sequence[Any], lacking: list[InputSpec]
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    values = [each for each in values if not (isinstance(each, str) and each in BUTTONS)]
    waiting, at = deque(entries), 0
    while waiting:
        entry = waiting.popleft()
        value = values[at] if at < len(values) else None
        at += 1
        if isinstance(entry, Unknown):
            continue
        if entry.required and at > len(values):
            lacking.append(entry)
        given[entry.name] = default_of(entry) if value is None else value
        waiting.extendleft(reversed(list(_chosen(entry, given[entry.name]))))
        if at < len(values) and _is_control(entry, values[at], waiting):
            at += 1
    return given


def _by_name(
    entries: Sequence[Entry], named: Mapping[str, Any], lacking: list[InputSpec]
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    waiting = deque(entry for entry in entries if not isinstance(entry, Unknown))
    while waiting:
        spec = waiting.popleft()
        if spec.required and spec.name not in named:
            lacking.append(spec)
        value = named.get(spec.name)
        given[spec.name] = default_of(spec) if value is None else value
        waiting.extend(_chosen(spec, given[spec.name]))
    return given


def _chosen(spec: InputSpec, choice: Any) -> Iterator[InputSpec]:
    """The widgets that a dynamic combo shows for its choice, named below it."""
    if spec.type == DYNAMIC_COMBO:
        yield from filter(is_widget, inputs_below(spec, {spec.name: choice}))


def _keys(spec: InputSpec) -> Sequence[Any]:
    listed = spec.options.get("options") if spec.type == DYNAMIC_COMBO else None
    return [each.get("key") for each in listed or () if isinstance(each, Mapping)]


def _is_control(spec: InputSpec, value: Any, rest: Iterable[Entry]) -> bool:
    """Return whether ``value`` says what the editor does to the one before it after each run."""
    if not isinstance(value, str) or value not in CONTROLS:
        return False
    name = spec.name.rpartition(".")[2]
    if name in SEEDS or spec.options.get("control_after_generate"):
        return True
    follower = next((each for each in rest if isinstance(each, InputSpec)), None)
    return spec.type in ("INT", "FLOAT") and not (follower and _takes_text(follower))


def _takes_text(spec: InputSpec) -> bool:
    return spec.type not in ("INT", "FLOAT", "BOOLEAN")
