"""Graphs around one node of any class, made of what a catalogue says of it."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

GIVER = "Give "  # and a type: a class with an output of it
SINK = {
    "name": "Sink",
    "input": {"required": {"any": ["*", {}]}},
    "output": [],
    "output_node": True,
    "python_module": "nodes",
}
PLAIN = {"INT": 1, "FLOAT": 1.0, "STRING": "a", "BOOLEAN": True}
NODE = "1"

Config = list[Any]  # an input as the catalogue declares it
Found = tuple[str, Config, bool]  # its name in the graph, and whether it is required


def catalogue_around(info: Mapping[str, Any]) -> dict[str, Any]:
    """The same classes with names in empty lists, a sink, and a giver of each type."""
    around: dict[str, Any] = copy.deepcopy(dict(info))
    types = set[str]()
    for entry in around.values():
        for _, config, _ in every_input(entry["input"]):
            fill(config)
            types |= {type_of(config)}
    for kind in types | {"GUARD"}:
        giver = {"input": {"required": {}}, "output": [kind], "output_node": False}
        around[GIVER + kind] = {"name": GIVER + kind, "python_module": "nodes", **giver}
    return around | {"Sink": SINK}


def every_input(groups: Mapping[str, Any], prefix: str = "") -> Iterator[Found]:
    """All inputs of a class, those of each option too."""
    for group in ("required", "optional"):
        for name, config in groups.get(group, {}).items():
            yield prefix + name, config, group == "required"
            for below in options_of(config):
                yield from every_input(below["inputs"], f"{prefix}{name}.")
            yield from grown(config, f"{prefix}{name}.")


def chosen_inputs(groups: Mapping[str, Any], pick: int, prefix: str = "") -> Iterator[Found]:
    """The inputs that a node has if each dynamic combo has its ``pick``-th option."""
    for group in ("required", "optional"):
        for name, config in groups.get(group, {}).items():
            options = options_of(config)
            if options:
                yield prefix + name, config, False  # ComfyUI does not miss it
                inputs = options[pick % len(options)]["inputs"]
                yield from chosen_inputs(inputs, pick, f"{prefix}{name}.")
            elif config[0] == "COMFY_AUTOGROW_V3":
                yield from grown(config, f"{prefix}{name}.")
            else:
                yield prefix + name, config, group == "required"


def options_of(config: Config) -> list[Any]:
    return list(config[1]["options"]) if config[0] == "COMFY_DYNAMICCOMBO_V3" else []


def grown(config: Config, prefix: str) -> Iterator[Found]:
    if config[0] != "COMFY_AUTOGROW_V3":
        return
    template = config[1]["template"]
    [(group, inputs)] = [each for each in template["input"].items() if each[1]]
    [below] = inputs.values()
    names = template.get("names") or [f"{template['prefix']}{i}" for i in range(template["max"])]
    for position, name in enumerate(names):
        yield prefix + name, below, group == "required" and position < template["min"]


def graph_around(info: Mapping[str, Any], name: str, *, pick: int = 0) -> dict[str, Any]:
    """A graph that runs, with one node of the class, given all its inputs."""
    inputs: dict[str, Any] = {}
    graph: dict[str, Any] = {NODE: {"class_type": name, "inputs": inputs}}
    for number, (place, config, _) in enumerate(chosen_inputs(info[name]["input"], pick)):
        options = options_of(config)
        value = options[pick % len(options)]["key"] if options else value_of(config)
        if value is None:
            graph[f"g{number}"] = {"class_type": GIVER + type_of(config), "inputs": {}}
            value = [f"g{number}", 0]
        inputs[place] = value
    for output in range(len(info[name]["output"])):
        graph[f"s{output}"] = {"class_type": "Sink", "inputs": {"any": [NODE, output]}}
    if not info[name]["output"]:
        graph["s"] = {"class_type": "Sink", "inputs": {"any": ["g", 0]}}
        graph["g"] = {"class_type": GIVER + "GUARD", "inputs": {}}
    return graph


def value_of(config: Config) -> Any:
    """A value that the input accepts; None if only a link will do."""
    options = config[1] if len(config) > 1 else {}
    choices = choices_of(config)
    if choices is not None:
        return choices[0] if choices else "a.png"
    if config[0] not in PLAIN:
        return None
    value = options.get("default", PLAIN[config[0]])
    if config[0] in ("INT", "FLOAT"):
        return max(options.get("min", value), min(options.get("max", value), value))
    return value


def choices_of(config: Config) -> list[Any] | None:
    if isinstance(config[0], list):
        return config[0]
    return list(config[1].get("options", [])) if config[0] == "COMBO" else None


def type_of(config: Config) -> str:
    """One of the types that the input takes from a link."""
    return "COMBO" if isinstance(config[0], list) else str(config[0]).split(",")[-1]


def fill(config: Config) -> None:
    """Give a list without names one."""
    listed = (
        config[0]
        if isinstance(config[0], list)
        else config[1].get("options")
        if (config[0] == "COMBO")
        else None
    )
    if listed == []:
        listed.append("there.safetensors")


def picks(entry: Mapping[str, Any]) -> int:
    """How many picks see each option of each combo."""
    counts = (len(options_of(config)) for _, config, _ in every_input(entry["input"]))
    return max(itertools.chain([1], counts))
