"""Prompts and other texts of a graph, as an import suggests them."""

import re
from collections.abc import Iterator, Sequence

from comfyq.domain.graph.graph import Input, reference
from comfyq.domain.graph.node_roles import roles_of
from comfyq.domain.graph.type_matching import ANY, MATCH, type_names
from comfyq.domain.graph.value_places import text_places
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, last_part
from comfyq.domain.workflow.suggestion import NotBound, Suggestion, Table

# names of inputs that say what is to be made
TEXTS = re.compile(
    r"(?:.*_)?(?:prompt|text|caption|tags|lyrics|instruction)s?(?:_?[a-z0-9]{1,2})?"
    r"|clip_[lg]|t5xxl|bert|mt5xl|llama|qwen\w*|positive|negative"
)
TOLD = re.compile(r"prompt|tags|lyrics|caption|positive|negative")  # whatever the class is
PARTS = re.compile(r"text|prompt|string|str\b|value|caption|tags|lyrics|positive|negative")
ENCODES = re.compile(r"encode|generat|text_?to|tts|speech|prompt", re.IGNORECASE)
NO_TEXTS = re.compile(
    r"delimiter|separator|regex|pattern|find|replace|substring|prefix|suffix|json|url|key|format|expression"
)
MAX_CHARS = 10_000


def texts_of(catalogued: CataloguedGraph) -> Iterator[Suggestion | NotBound]:
    """Suggest every text that is encoded; if there is none, texts that a language model reads."""
    encoded = [place for place in _inputs(catalogued) if _makes_more_than_text(catalogued, place)]
    places = encoded or list(_inputs(catalogued))
    encoders_first = sorted(places, key=lambda place: "clip" not in _names(catalogued, place))
    has_prompt = False
    for place in encoders_first:
        parts = [each for each in _parts(catalogued, place) if "." not in each.node]
        if not parts:
            if reference(catalogued.value(place)) is not None:
                said = f"comes from {catalogued.source(place)}, in which no text was found"
                yield NotBound(catalogued.described(place), said)
            continue
        name = _name(catalogued, place)
        main = _main(catalogued, place, parts)
        for part in (main, *(each for each in parts if each != main)):
            value = str(catalogued.value(part))
            if part != main and not value.strip():
                continue
            is_first = name == "prompt" and not has_prompt
            has_prompt = has_prompt or is_first
            yield Suggestion(name, _table(name, value, required=is_first), value, part)


def _inputs(catalogued: CataloguedGraph) -> Iterator[Input]:
    for place, value in catalogued.places():
        if not isinstance(value, str) and reference(value) is None:
            continue
        name, spec = last_part(place.name).lower(), catalogued.spec(place)
        if not TEXTS.fullmatch(name) and not _is_encoded_text(catalogued, place):
            continue
        if spec is not None:
            if "STRING" in type_names(spec.type) and not spec.is_file:
                yield place
        elif _looks_like_text(catalogued, place, name):
            yield place


def _is_encoded_text(catalogued: CataloguedGraph, place: Input) -> bool:
    """Tell if the input is a text of several lines that its node turns into conditioning."""
    node_class, spec = catalogued.node_class(place.node), catalogued.spec(place)
    if node_class is None or spec is None or not spec.options.get("multiline"):
        return False
    encodes = any("CONDITIONING" in type_names(kind) for kind in node_class.outputs)
    return encodes and not NO_TEXTS.search(last_part(place.name).lower())


def _looks_like_text(catalogued: CataloguedGraph, place: Input, name: str) -> bool:
    """Judge an input of which no catalogue is known by names alone."""
    if isinstance(catalogued.value(place), str):
        return True
    feeds_conditions = name in ("positive", "negative")  # links of them are no text
    return not feeds_conditions and ("clip" in _names(catalogued, place) or bool(TOLD.search(name)))


def _makes_more_than_text(catalogued: CataloguedGraph, place: Input) -> bool:
    node_class = catalogued.node_class(place.node)
    if node_class is not None:
        kinds = {name for kind in node_class.outputs for name in type_names(kind)}
        return not kinds <= {"STRING", ANY} or (not kinds and _is_told(place))
    encodes = "clip" in _names(catalogued, place) or _is_told(place)
    return encodes or bool(ENCODES.search(catalogued.class_type(place.node)))


def _is_told(place: Input) -> bool:
    return bool(TOLD.search(last_part(place.name).lower()))


def _names(catalogued: CataloguedGraph, place: Input) -> Sequence[str]:
    return list(catalogued.graph[place.node]["inputs"])


def _parts(catalogued: CataloguedGraph, place: Input) -> Iterator[Input]:
    def holds_text(node: str, name: str) -> bool:
        short = last_part(name).lower()
        if NO_TEXTS.search(short):
            return False
        spec = catalogued.spec(Input(node, name))
        if spec is None:
            return bool(PARTS.search(short))
        kinds = frozenset(type_names(spec.type))
        linked = reference(catalogued.value(Input(node, name))) is not None
        return "STRING" in kinds or (linked and not kinds.isdisjoint({ANY, MATCH}))

    return text_places(catalogued.graph, place, holds_text)


def _main(catalogued: CataloguedGraph, place: Input, parts: Sequence[Input]) -> Input:
    """Choose the part that a person writes: of a node that only holds a text, the longest."""

    def worth(part: Input) -> tuple[bool, bool, int]:
        inputs = catalogued.graph[part.node]["inputs"].values()
        holds_only = part.node != place.node and not any(map(reference, inputs))
        about = "system" not in part.name.lower()
        return about, holds_only, len(str(catalogued.value(part)).strip())

    return max(parts, key=worth)


def _name(catalogued: CataloguedGraph, place: Input) -> str:
    name = last_part(place.name).lower()
    roles = roles_of(catalogued.graph, place.node)
    called = f"{catalogued.class_type(place.node)} {catalogued.title(place.node)}".lower()
    if "negative" in name or roles == {"negative"} or (not roles and "negative" in called):
        return "negative_prompt"
    for word, parameter in (("lyrics", "lyrics"), ("system", "system_prompt")):
        if word in name:
            return parameter
    return "prompt"


WORDS = {
    "prompt": ("Prompt", "What is to be made."),
    "negative_prompt": ("Negative prompt", "What is not to be seen or heard."),
    "lyrics": ("Lyrics", "What is sung."),
    "system_prompt": ("System prompt", "What the language model is told before the prompt."),
}


def _table(name: str, value: str, *, required: bool) -> Table:
    """The first prompt is required; of every other text the author's own is the default."""
    title, explained = WORDS[name]
    most = max(MAX_CHARS, 2 * len(value))
    table: Table = {"kind": "string", "max_length": most, "group": "prompt"}
    table |= {"required": True, "min_length": 1} if required else {"default": value}
    return table | {"title": title, "help": explained}
