"""Consistency of a manifest: its parts fit each other and the graph."""

from comfyq.adapters.filesystem.sections import Section
from comfyq.domain.graph.graph import Graph, Input, consumers, reference
from comfyq.domain.graph.value_places import may_replace
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.kinds import KINDS
from comfyq.domain.workflow.parameters import BadValue, Parameter
from comfyq.domain.workflow.presets import NEGATIVE_PROMPT
from comfyq.domain.workflow.workflow import Workflow


def check_bindings(workflow: Workflow) -> None:
    owners: dict[Input, str] = {}
    for name, parameter in workflow.parameters.items():
        section = Section({}, ("parameters", name))
        try:
            for target in parameter.bindings:
                _check_target(workflow.graph, target)
                if owners.setdefault(target, name) != name:
                    raise ValueError(f"{owners[target]} is bound to {'.'.join(target)} as well")
        except ValueError as wrong:
            raise section.broken("bind", str(wrong)) from None
        for key, source in (("model", parameter.model), ("clip", parameter.clip)):
            if source is not None and not consumers(workflow.graph, source):
                raise section.broken(key, f"no node uses output {source.output} of {source.node}")


def check_sizes(workflow: Workflow) -> None:
    """Pictures are brought to the size that two other parameters have."""
    for name, parameter in workflow.parameters.items():
        section = Section({}, ("parameters", name))
        for size in parameter.size_from:
            other = workflow.parameters.get(size)
            if other is None or other.kind != "size":
                sizes = [each.name for each in workflow.parameters.values() if each.kind == "size"]
                raise section.broken("size_from", f"{size!r} is no size; {among(size, sizes)}")
        if parameter.fit != "none" and not parameter.size_from:
            raise section.broken("fit", f"{parameter.fit!r} needs size_from")


def check_presets(workflow: Workflow) -> None:
    for preset, values in workflow.presets.items():
        section = Section(values, ("presets", preset))
        section.only(workflow.parameters)
        for name, value in values.items():
            _check_value(section, workflow.parameters[name], value)
    top = Section({}, ())
    if workflow.negative_prompts and NEGATIVE_PROMPT not in workflow.parameters:
        raise top.broken("negative_prompts", f"there is no parameter {NEGATIVE_PROMPT}")
    for name, prompt in workflow.negative_prompts.items():
        section = Section({}, ("negative_prompts",))
        _check_value(section, workflow.parameters[NEGATIVE_PROMPT], prompt, key=name)


def check_warm(workflow: Workflow) -> None:
    """A warm run has no client that would send it files."""
    files = [p.name for p in workflow.parameters.values() if KINDS[p.kind].is_file and p.required]
    if workflow.warm and files:
        message = f"cannot be true: a run needs a file, {files[0]}, which nobody sends at a start"
        raise Section({}, ()).broken("warm", message)


def check_node(graph: Graph, node: str) -> None:
    if node not in graph:
        raise ValueError(f"the graph has no node {node!r}; {among('', sorted(graph))}")


def _check_value(section: Section, parameter: Parameter, value: object, *, key: str = "") -> None:
    try:
        KINDS[parameter.kind].coerce(parameter, value)
    except BadValue as wrong:
        raise section.broken(key or parameter.name, str(wrong)) from None


def _check_target(graph: Graph, target: Input) -> None:
    check_node(graph, target.node)
    names = graph[target.node]["inputs"]
    if target.name not in names:
        raise ValueError(f"node {target.node} has no input {target.name!r}; {among('', names)}")
    # A number that a primitive gives may be replaced where it is used; a model may not.
    is_fed = reference(names[target.name]) is not None
    if is_fed and not may_replace(graph, target):
        raise ValueError(f"{'.'.join(target)} is fed by another node; a value cannot be put there")
