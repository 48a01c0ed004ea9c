"""From an exported graph to a proposal for its manifest, by class, wiring and catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from math import lcm
from typing import Any

from comfyq.domain.graph.graph import Graph, Input
from comfyq.domain.graph.model_names import EXTENSIONS
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue
from comfyq.domain.graph.node_roles import loaded, roles_of, text_place
from comfyq.domain.workflow.known_inputs import FOLDERS, KNOWN, Known
from comfyq.domain.workflow.raw_graph import FILES, family_of

Table = dict[str, Any]  # of a manifest

TEXTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt")  # of text encoders
SAVES = ("Save", "VHS_VideoCombine")
SHOWS = ("Preview",)
SEARCH = "https://huggingface.co/models?search="


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A manifest and a sample, to be read by their author."""

    manifest: Table
    parameters: Mapping[str, Table]
    models: tuple[Table, ...]
    sample: Mapping[str, Any]


@dataclass(slots=True)
class _Found:
    """A parameter in the making: inputs of equal value are one."""

    table: Table
    value: Any
    places: list[Input]


def propose(graph: Graph, *, title: str, catalogue: NodeCatalogue | None = None) -> Proposal:
    """``graph`` is one in API format (``graph.faults`` finds none in it)."""
    collection = _Collection()
    for place, role in _texts(graph):
        collection.add(role, _text_table(role), graph[place.node]["inputs"][place.name], place)
    for place, kind in _files(graph):
        collection.add(kind, _file_table(kind), None, place)
    for place, known in _known(graph):
        value = graph[place.node]["inputs"][place.name]
        spec = _spec(catalogue, graph, place)
        collection.add(known.parameter, _known_table(known, value, spec), value, place)
    parameters = collection.tables() | _loras(graph)
    return Proposal(
        manifest={
            "title": title,
            "description": f"Imported: {title}.",
            "version": "1.0.0",
            "family": family_of(graph),
            "outputs": list(outputs_of(graph, catalogue)),
        },
        parameters=parameters,
        models=tuple(_models(graph)),
        sample=collection.sample(),
    )


def outputs_of(graph: Graph, catalogue: NodeCatalogue | None) -> tuple[str, ...]:
    """The nodes whose files are the result; previews only where nothing is saved."""
    for prefixes in (SAVES, SHOWS):
        named = [n for n, body in graph.items() if body["class_type"].startswith(prefixes)]
        if named:
            return tuple(named)
    classes = catalogue.classes if catalogue else {}
    known = {name for name, each in classes.items() if each.is_output}
    return tuple(node for node, body in graph.items() if body["class_type"] in known)


class _Collection:
    """Parameters by name; a second one of another value gets a number."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def add(self, name: str, table: Table, value: Any, place: Input) -> None:
        for number in count(1):
            numbered = name if number == 1 else f"{name}_{number}"
            if numbered not in self._found:
                self._found[numbered] = _Found(table, value, [place])
                return
            earlier = self._found[numbered]
            if value is not None and earlier.value == value:
                earlier.table = _narrower(earlier.table, table)
                earlier.places.append(place)
                return

    def tables(self) -> dict[str, Table]:
        return {name: _bound(each) for name, each in self._found.items()}

    def sample(self) -> dict[str, Any]:
        """Return the sample: the required values, as the graph has them, and a seed."""
        values: dict[str, Any] = {}
        for name, each in self._found.items():
            if each.table.get("required"):
                values[name] = each.value or "https://example.com/replace-me.png"
            elif each.table["kind"] == "seed":
                values[name] = 42
        return values


def _narrower(one: Table, other: Table) -> Table:
    """Intersect the ranges of two places that share a parameter."""
    both = dict(one)
    for key, narrow in (("min", max), ("max", min), ("multiple_of", lcm)):
        if key in other:
            both[key] = narrow(one[key], other[key]) if key in one else other[key]
    return both


def _bound(parameter: _Found) -> Table:
    places = [".".join(place) for place in parameter.places]
    return parameter.table | {"bind": places[0] if len(places) == 1 else places}


def _texts(graph: Graph) -> Iterator[tuple[Input, str]]:
    """Find the inputs that hold prompts, each with its role."""
    seen: set[Input] = set()
    for node, body in graph.items():
        for name in TEXTS:
            if name not in body["inputs"] or "clip" not in body["inputs"]:
                continue
            place = text_place(graph, Input(node, name))
            if place is not None and place not in seen:
                seen.add(place)
                only_negative = roles_of(graph, node) == {"negative"}
                yield place, "negative_prompt" if only_negative else "prompt"


def _files(graph: Graph) -> Iterator[tuple[Input, str]]:
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            kind = FILES.get((body["class_type"], name))
            if kind is not None and isinstance(value, str):
                yield Input(node, name), kind


def _known(graph: Graph) -> Iterator[tuple[Input, Known]]:
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            known = KNOWN.get(name)
            if known is None or not all(other in body["inputs"] for other in known.beside):
                continue
            if _fits(known, value):
                yield Input(node, name), known


def _fits(known: Known, value: Any) -> bool:
    if known.kind == "enum":
        return isinstance(value, str)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (known.kind == "number" and isinstance(value, float))


def _spec(catalogue: NodeCatalogue | None, graph: Graph, place: Input) -> InputSpec | None:
    if catalogue is None:
        return None
    node_class = catalogue.classes.get(graph[place.node]["class_type"])
    return node_class.inputs.get(place.name) if node_class else None


def _text_table(role: str) -> Table:
    table: Table = {"kind": "string", "max_length": 10_000, "group": "prompt"}
    if role == "prompt":
        texts = {"title": "Prompt", "help": "What is to be made."}
        return table | {"required": True, "min_length": 1} | texts
    texts = {"title": "Negative prompt", "help": "What is not to be seen or heard."}
    return table | {"default": ""} | texts


def _file_table(kind: str) -> Table:
    return {
        "kind": kind,
        "required": True,
        "title": kind.capitalize(),
        "help": "An asset, URL or data URI.",
        "group": "input",
    }


def _known_table(known: Known, value: Any, spec: InputSpec | None) -> Table:
    table: Table = {"kind": known.kind}
    if known.source:
        table["source"] = known.source
    if known.kind == "number":
        value = float(value)
    if known.kind != "seed":
        table["default"] = value
    table |= _range(known, value, spec)
    return table | {"title": known.title, "help": known.help, "group": known.group}


def _range(known: Known, value: Any, spec: InputSpec | None) -> Table:
    """Between what the catalogue allows, cut to what makes sense, always with the graph's own."""
    if known.low is None or known.high is None:
        return {}
    options = spec.options if spec else {}
    low = max(_number(options.get("min"), known.low), known.low)
    high = min(_number(options.get("max"), known.high), known.high)
    number = float if known.kind == "number" else int
    table: Table = {"min": number(min(low, value)), "max": number(max(high, value))}
    step = options.get("step")
    if known.kind == "size" and isinstance(step, int) and step > 1 and value % step == 0:
        table["multiple_of"] = step
    return table


def _number(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) else default


def _loras(graph: Graph) -> dict[str, Table]:
    """A list of LoRAs behind whatever loads the model, and the text encoder if there is one."""
    model = loaded(graph, "model", list(graph))
    if model is None:
        return {}
    clip = loaded(graph, "clip", list(graph))
    table: Table = {"kind": "loras", "model": f"{model.node}.{model.output}"}
    if clip is not None:
        table["clip"] = f"{clip.node}.{clip.output}"
    explained = "LoRA files as `name:strength`; strength (1.0) and extension may be left out."
    return {"loras": table | {"title": "LoRAs", "help": explained, "group": "style"}}


def _models(graph: Graph) -> Iterator[Table]:
    """The files that the graph loads; where people get them is for the author to say."""
    seen: set[tuple[str, str]] = set()
    for body in graph.values():
        for name, value in body["inputs"].items():
            folder = FOLDERS.get(name)
            is_file = isinstance(value, str) and value.lower().endswith(EXTENSIONS)
            if folder is None or not is_file or (folder, value) in seen:
                continue
            seen.add((folder, value))
            stem = value.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
            note = "a search, until somebody says where it is"
            yield {"file": value, "folder": folder, "url": SEARCH + stem, "note": note}
