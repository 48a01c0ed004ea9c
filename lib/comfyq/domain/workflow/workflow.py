"""A workflow: a graph with typed parameters, from which a client's request makes a job's graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from comfyq.domain.environment.custom_nodes import CustomNodes
from comfyq.domain.errors import FieldError, InvalidParameters
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.graph.graph import Graph, Input, NewGraph, copied
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.job import Limits
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import ModelSource
from comfyq.domain.suggestions import HINTED, nearest
from comfyq.domain.workflow.coercion import DRAW
from comfyq.domain.workflow.kinds import KINDS
from comfyq.domain.workflow.locked_models import models_to_come
from comfyq.domain.workflow.parameters import BadValue, Parameter, shown
from comfyq.domain.workflow.presets import choices_schema, chosen
from comfyq.domain.workflow.suiting import drawn, suited

MAX_VALUES = 100  # of a request; more are refused without naming each
CATALOGUES = 8  # that a workflow is remembered on


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file that the graph loads, and where people get it."""

    file: str  # as the graph names it
    folder: str  # below ComfyUI's ``models``
    url: str
    note: str = ""
    source: ModelSource | None = None  # where comfyq gets it


@dataclass(frozen=True, slots=True)
class Resolved:
    """A request with everything decided; resolving its parameters again gives the same."""

    parameters: Mapping[str, Any]  # JSON values
    warnings: Sequence[str]  # what was accepted without effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    name: str
    title: str
    description: str
    version: str
    graph: Graph  # the template
    parameters: Mapping[str, Parameter]
    outputs: tuple[str, ...]  # ids of the nodes whose files are the result
    family: str = "any"  # jobs of a family share loaded models
    limits: Limits = field(default_factory=Limits)
    models: tuple[Model, ...] = ()
    locked: tuple[LockedModel, ...] = ()  # those of ``models`` whose lock is of their source
    warm: bool = False  # workers run it once, small, after a start
    nodes: tuple[CustomNodes, ...] = ()  # custom nodes that ComfyUI needs for it
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # values by name
    negative_prompts: Mapping[str, str] = field(default_factory=dict)  # by name
    sample: Mapping[str, Any] = field(default_factory=dict)  # a request's values that work
    _narrowed: dict[tuple[str, bool], "Workflow"] = field(  # by what of a catalogue matters
        default_factory=dict, init=False, compare=False, repr=False
    )

    def resolve(self, values: Mapping[str, Any], *, draw_seed: Callable[[], int]) -> Resolved:
        """Check a client's values, fill in defaults, draw seeds. None stands for the default.

        ``draw_seed`` gives a non-negative integer of at least 53 random bits.

        Raises:
            InvalidParameters: every bad field, each with what would be right.
        """
        if len(values) > MAX_VALUES:
            message = f"has {len(values)} parameters; no workflow has over {MAX_VALUES}"
            raise InvalidParameters([FieldError("", message)])
        values, errors = chosen(self, values)
        unknown = [name for name in values if name not in self.parameters]
        errors += [self._unknown(name, hint=n < HINTED) for n, name in enumerate(unknown)]
        parameters: dict[str, Any] = {}
        warnings: list[str] = []
        for name, parameter in self.parameters.items():
            try:
                value = _resolved(parameter, values.get(name), draw_seed)
            except BadValue as wrong:
                errors += [FieldError(_path(name, below), text) for below, text in wrong.errors]
                continue
            if KINDS[parameter.kind].effective:
                parameters[name] = value
            elif value:
                warnings.append(f"{name} was ignored: {parameter.reason}")
        if errors:
            raise InvalidParameters(errors)
        return Resolved(parameters, tuple(warnings))

    def bind(self, parameters: Mapping[str, Any]) -> NewGraph:
        """Return a new graph with resolved parameters bound into it."""
        graph = copied(self.graph)
        for name, value in parameters.items():
            parameter = self.parameters[name]
            KINDS[parameter.kind].bind(parameter, value, graph)
        return graph

    def inputs(self, parameters: Mapping[str, Any]) -> tuple[InputFile, ...]:
        """The files that the worker has to put in the places of resolved parameters."""
        files = [p for p in self.parameters.values() if KINDS[p.kind].is_file]
        return tuple(
            _input_file(parameter, target, parameters)
            for parameter in files
            for target in parameter.bindings
        )

    def on(self, catalogue: NodeCatalogue) -> "Workflow":
        """Return the same workflow with choices and ranges narrowed to one ComfyUI's catalogue."""
        key = (catalogue.id, catalogue.fetches)
        known = self._narrowed.get(key)
        if known is None:  # each request asks, and catalogues seldom change
            may_come = models_to_come(self.locked, catalogue)
            parameters = {
                name: suited(parameter, self.graph, catalogue, may_come=may_come)
                for name, parameter in self.parameters.items()
            }
            known = replace(self, parameters=parameters)
            if len(self._narrowed) >= CATALOGUES:
                self._narrowed.clear()
            self._narrowed[key] = known
        return known

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the values that ``resolve`` accepts, except that null is a default."""
        properties = {name: _schema(p) for name, p in self.parameters.items()}
        return {
            "type": "object",
            "title": self.title,
            "description": self.description,
            "properties": properties | choices_schema(self),
            "required": [name for name, p in self.parameters.items() if p.required],
            "additionalProperties": False,
        }

    def _unknown(self, name: str, *, hint: bool) -> FieldError:
        meant = nearest(name, self.parameters) if hint else None
        names = ", ".join(self.parameters)
        right = f"did you mean {meant!r}?" if meant else f"there are {names}"
        return FieldError(shown(name)[1:-1], f"is not a parameter of workflow {self.name}; {right}")


def _resolved(parameter: Parameter, value: Any, draw_seed: Callable[[], int]) -> Any:
    if value is None:
        if parameter.required:
            raise BadValue(("", "is required"))
        value = parameter.default
    kept = KINDS[parameter.kind].coerce(parameter, value)
    if parameter.kind == "seed" and kept == DRAW:
        return drawn(parameter, draw_seed())
    return kept


def _input_file(parameter: Parameter, target: Input, values: Mapping[str, Any]) -> InputFile:
    value = values[parameter.name]
    given = value if isinstance(value, Mapping) else {"source": value}
    size = [values[name] for name in parameter.size_from]
    return InputFile(
        parameter=parameter.name,
        node=target.node,
        input=target.name,
        kind=parameter.kind,
        source=given["source"],
        fit=given.get("fit", parameter.fit),
        width=size[0] if size else None,
        height=size[1] if size else None,
    )


def _path(name: str, below: str) -> str:
    return f"{name}.{below}" if below else name


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = KINDS[parameter.kind].schema(parameter)
    words = {
        "title": parameter.title,
        "description": parameter.help,
        "x-kind": parameter.kind,
        "x-group": parameter.group,
        "x-unit": parameter.unit,
    }
    schema |= {name: text for name, text in words.items() if text}
    return schema if parameter.required else schema | {"default": parameter.default}
