"""Reading a manifest into a Workflow. Faults that clients would meet later are refused here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from comfyq.adapters.filesystem.consistency import (
    check_bindings,
    check_node,
    check_presets,
    check_sizes,
    check_warm,
)
from comfyq.adapters.filesystem.sections import (
    Broken,
    Section,
    flag,
    named_texts,
    number,
    one_of,
    pair,
    positive,
    text,
    texts,
)
from comfyq.domain.environment.custom_nodes import (
    CustomNodes,
    read_classes,
    read_commit,
    read_repository,
)
from comfyq.domain.files.inputs import FITS
from comfyq.domain.graph.graph import Graph, Input, Ref
from comfyq.domain.graph.node_catalogue import SOURCES
from comfyq.domain.job import Limits
from comfyq.domain.models.source import model_path, read_source
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.kinds import KINDS
from comfyq.domain.workflow.parameters import RESERVED, BadValue, Parameter
from comfyq.domain.workflow.workflow import Model, Workflow

TOP = frozenset(
    {
        "title",
        "description",
        "version",
        "family",
        "outputs",
        "warm",
        "limits",
        "parameters",
        "models",
        "nodes",
        "presets",
        "negative_prompts",
    }
)
COMMON = frozenset({"kind", "required", "default", "bind", "title", "help", "group", "unit"})
FIELDS = {"min": "minimum", "max": "maximum", "bind": "bindings"}  # key -> field of Parameter
PARAMETER = re.compile(r"[a-z][a-z0-9_]*")


def inputs(value: Any) -> tuple[Input, ...]:
    """``"6.text"``, or a list of such; the input's name may have dots, the node's id has none."""
    places = texts([value] if isinstance(value, str) else value)
    split = [place.partition(".") for place in places]
    if not all(node and dot and name for node, dot, name in split):
        raise ValueError('must be "node.input", such as "6.text", or a list of such')
    return tuple(Input(node, name) for node, _, name in split)


def output(value: Any) -> Ref:
    node, dot, position = text(value).rpartition(".")
    if not node or not dot or not (position.isascii() and position.isdigit()):
        raise ValueError('must be "node.output", such as "12.0"')
    return Ref(node, int(position))


READERS: Mapping[str, Callable[[Any], Any]] = {
    "kind": text,
    "required": flag,
    "default": lambda value: value,  # the kind judges it
    "bind": inputs,
    "title": text,
    "help": text,
    "group": text,
    "unit": text,
    "min": number,
    "max": number,
    "multiple_of": positive,
    "min_length": positive,
    "max_length": positive,
    "max_items": positive,
    "choices": texts,
    "source": partial(one_of, SOURCES),
    "fit": partial(one_of, FITS),
    "size_from": pair,
    "model": output,
    "clip": output,
    "reason": text,
}


def read_manifest(
    name: str, manifest: Mapping[str, Any], graph: Graph, sample: Mapping[str, Any]
) -> Workflow:
    """The workflow called ``name``.

    Raises:
        Broken: the manifest is wrong, or does not fit the valid graph ``graph``.
    """
    top = Section(manifest)
    top.only(TOP)
    top.needs({"title", "description", "version", "outputs", "parameters"})
    workflow = Workflow(
        name=name,
        title=top.text("title"),
        description=top.text("description"),
        version=top.text("version"),
        family=top.text("family", "any"),
        outputs=top.read("outputs", partial(_nodes, graph), ()),
        limits=_limits(top),
        models=tuple(_model(section) for _, section in top.tables("models")),
        warm=top.read("warm", flag, False),
        nodes=_nodes_of(top),
        parameters={key: _parameter(key, section) for key, section in top.tables("parameters")},
        presets={key: section.values for key, section in top.tables("presets")},
        negative_prompts=top.read("negative_prompts", named_texts, {}),
        graph=graph,
        sample=sample,
    )
    check_bindings(workflow)
    check_sizes(workflow)
    check_presets(workflow)
    check_warm(workflow)
    return workflow


def _nodes(graph: Graph, value: Any) -> tuple[str, ...]:
    for node in texts(value):
        check_node(graph, node)
    return texts(value)


def _limits(top: Section) -> Limits:
    section = Section(top.read("limits", _table, {}), ("limits",))
    names = [field.name for field in fields(Limits) if field.name != "unsuited_timeout_s"]
    section.only(names)
    return Limits(**{key: section.read(key, positive, 1) for key in section.values})


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a table")
    return value


def _model(section: Section) -> Model:
    section.only({"file", "folder", "url", "note", "source"})
    section.needs({"file", "folder", "url"})
    source = section.read("source", read_source, None)
    place = text if source is None else model_path  # comfyq makes a file there
    return Model(
        file=section.read("file", place, ""),
        folder=section.read("folder", place, ""),
        url=section.text("url"),
        note=section.text("note"),
        source=source,
    )


def _nodes_of(top: Section) -> tuple[CustomNodes, ...]:
    known: dict[str, CustomNodes] = {}
    for _, section in top.tables("nodes"):
        nodes = _custom_nodes(section)
        if known.setdefault(nodes.folder.lower(), nodes) is not nodes:
            message = f"another entry has the folder custom_nodes/{nodes.folder} already"
            raise section.broken("repository", message)
    return tuple(known.values())


def _custom_nodes(section: Section) -> CustomNodes:
    section.only({"repository", "commit", "classes"})
    section.needs({"repository", "commit"})
    return CustomNodes(
        repository=section.read("repository", read_repository, ""),
        commit=section.read("commit", read_commit, ""),
        classes=section.read("classes", read_classes, ()),
    )


def _parameter(name: str, section: Section) -> Parameter:
    if not PARAMETER.fullmatch(name):
        raise Broken(section.path, "a parameter's name has small letters, digits and _ alone")
    if name in RESERVED:
        raise Broken(section.path, "requests have a field of this name already")
    section.needs({"kind"})
    kind = KINDS.get(section.text("kind"))
    if kind is None:
        raise section.broken("kind", f"there is no such kind; {among('', KINDS)}")
    section.only(COMMON | kind.options)
    section.needs(kind.needs | ({"bind"} if kind.bound else set()))
    if kind.needs_one_of and kind.needs_one_of.isdisjoint(section.values):
        raise section.broken("kind", f"needs one of {', '.join(sorted(kind.needs_one_of))}")
    given = {FIELDS.get(key, key): section.read(key, READERS[key], None) for key in section.values}
    parameter = Parameter(**(dict(kind.fills) | given | {"name": name}))
    _check_range(section, parameter)
    _check_default(section, parameter)
    return parameter


def _check_range(section: Section, parameter: Parameter) -> None:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None and low > high:
        raise section.broken("min", f"is {low}, above max, which is {high}")
    if parameter.min_length > parameter.max_length:
        raise section.broken("min_length", f"is above max_length, {parameter.max_length}")


def _check_default(section: Section, parameter: Parameter) -> None:
    if parameter.required:
        if "default" in section.values:
            raise section.broken("default", "a required parameter has no default")
        return
    if parameter.default is None:
        raise section.broken("default", "is missing; a parameter has one or is required")
    try:
        KINDS[parameter.kind].coerce(parameter, parameter.default)
    except BadValue as wrong:
        raise section.broken("default", str(wrong)) from None
