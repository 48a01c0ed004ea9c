"""Strengths of the LoRAs in a graph, as an import suggests them."""

from collections.abc import Iterator, Mapping

from comfyq.domain.graph.value_places import is_number
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, beside, last_part
from comfyq.domain.workflow.suggestion import Suggestion, Suggestions, Table

STRENGTHS: Mapping[str, tuple[str, str]] = {  # of ComfyUI's LoRA loaders
    "strength_model": ("lora_strength", "the model"),
    "strength_clip": ("lora_clip_strength", "the text encoder"),
}
MOST = 10.0  # more is noise


def lora_strengths_of(catalogued: CataloguedGraph, _: Suggestions) -> Iterator[Suggestion]:
    """Suggest each strength as a parameter of its own, also where two are equal."""
    for place, value in catalogued.places():
        parameter, changed = STRENGTHS.get(last_part(place.name), ("", ""))
        file = catalogued.graph[place.node]["inputs"].get(beside(place.name, "lora_name"))
        if parameter and isinstance(file, str) and is_number(value):
            explained = f"How much {file} changes {changed}: 0 not at all."
            table: Table = {"kind": "number", "default": float(value), "group": "style"}
            table |= {"min": min(-MOST, float(value)), "max": max(MOST, float(value))}
            title = f"Strength of {file.rpartition('.')[0] or file} on {changed}"
            yield Suggestion(parameter, table | {"title": title, "help": explained}, None, place)
