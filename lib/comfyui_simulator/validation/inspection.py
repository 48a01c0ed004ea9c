"""One walk through one graph, from the outputs upstream."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from comfyui_simulator.catalogue import FILE_INPUTS, Catalogue, InputSpec, NodeClass
from comfyui_simulator.settings import Generation
from comfyui_simulator.validation import problems
from comfyui_simulator.validation.problems import Problem

CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "INT": int,
    "FLOAT": float,
    "STRING": str,
    "BOOLEAN": bool,
}

MATCH_TYPE = "COMFY_MATCHTYPE_V3"  # the editor alone keeps such inputs and outputs equal

RawGraph = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ValidationResult:
    """The result of a validation. `error` is None when at least one output may run."""

    error: Problem | None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The catalogue and files that a graph is validated against."""

    catalogue: Catalogue
    wire: Generation
    has_input_file: Callable[[str], bool]
    """Whether a file was uploaded under a name."""


class _Crash(Exception):
    """ComfyUI's own code would raise here."""

    def __init__(self, exception_type: str, details: str) -> None:
        super().__init__(details)
        self.exception_type = exception_type
        self.details = details


@dataclass
class _Finding:
    """The finding for one node: valid, or its own problems (none when only upstream is bad)."""

    valid: bool = True
    problems: list[Problem] = field(default_factory=list)


class Inspection:
    """Judges the outputs of one graph whose classes are all known."""

    def __init__(self, rules: Rules, graph: RawGraph) -> None:
        self._rules = rules
        self._graph = graph
        self._found: dict[str, _Finding] = {}
        self._path: list[str] = []
        self._cycles: dict[str, Problem] = {}

    def judge(self, outputs: list[str]) -> ValidationResult:
        good = []
        own_problems: list[Problem] = []
        node_errors: dict[str, Any] = {}
        for output in outputs:
            if self._visit_output(output):
                good.append(output)
                continue
            own_problems += self._found[output].problems
            self._report(output, node_errors)
        error = None if good else problems.outputs_failed(own_problems)
        return ValidationResult(error, good, node_errors)

    def _report(self, output: str, node_errors: dict[str, Any]) -> None:
        for node_id, finding in self._found.items():
            if finding.valid or not finding.problems:
                continue
            entry = node_errors.setdefault(
                node_id,
                {
                    "errors": finding.problems,
                    "dependent_outputs": [],
                    "class_type": self._graph[node_id]["class_type"],
                },
            )
            entry["dependent_outputs"].append(output)

    def _visit_output(self, output: str) -> bool:
        try:
            return self._visit(output)
        except _Crash as crash:
            self._path.clear()
            problem = problems.validation_crashed(crash.exception_type, crash.details)
            self._found[output] = _Finding(False, [problem])
            return False

    def _visit(self, node_id: str) -> bool:
        if node_id in self._found:
            return self._found[node_id].valid
        if node_id in self._path:
            self._note_cycle(self._path[self._path.index(node_id) :])
            return False
        self._path.append(node_id)
        finding = self._inspect(node_id)
        self._path.pop()
        self._found[node_id] = finding
        return finding.valid

    def _inspect(self, node_id: str) -> _Finding:
        node = self._graph[node_id]
        if "inputs" not in node:
            raise _Crash("KeyError", "'inputs'")
        kind = self._rules.catalogue[node["class_type"]]
        finding = _Finding()
        for spec in kind.inputs:
            finding.problems += self._check_input(kind, spec, node["inputs"], finding)
        if node_id in self._cycles:
            finding.problems.append(self._cycles[node_id])
        finding.valid = finding.valid and not finding.problems
        return finding

    def _check_input(
        self, kind: NodeClass, spec: InputSpec, inputs: dict[str, Any], finding: _Finding
    ) -> Iterator[Problem]:
        if spec.name not in inputs:
            if spec.required:
                yield problems.input_missing(spec)
        elif isinstance(inputs[spec.name], list):
            yield from self._check_link(spec, inputs[spec.name], finding)
        else:
            yield from self._check_value(kind, spec, inputs)

    def _check_link(self, spec: InputSpec, link: list[Any], finding: _Finding) -> Iterator[Problem]:
        if len(link) != 2:
            yield problems.bad_link(spec, link)
            return
        received = self._output_type(link)
        if not types_match(received, spec.type):
            yield problems.type_mismatch(spec, received, link)
            return
        try:
            upstream_is_valid = self._visit(link[0])
        except _Crash as crash:
            problem = problems.inner_validation_crashed(
                spec, link, crash.exception_type, crash.details
            )
            self._forget_path_after(link[0])
            self._found[link[0]] = _Finding(False, [problem])
            upstream_is_valid = False
        finding.valid = finding.valid and upstream_is_valid

    def _forget_path_after(self, node_id: str) -> None:
        if node_id in self._path:
            del self._path[self._path.index(node_id) :]

    def _output_type(self, link: list[Any]) -> str:
        node_id, slot = link
        if node_id not in self._graph:
            raise _Crash("KeyError", repr(node_id))
        outputs = self._rules.catalogue[self._graph[node_id]["class_type"]].outputs
        if isinstance(slot, float):
            raise _Crash("TypeError", "tuple indices must be integers or slices, not float")
        if slot >= len(outputs):
            raise _Crash("IndexError", "tuple index out of range")
        return str(outputs[slot])

    def _check_value(
        self, kind: NodeClass, spec: InputSpec, inputs: dict[str, Any]
    ) -> Iterator[Problem]:
        try:
            value = inputs[spec.name] = _converted(spec, inputs[spec.name])
        except (TypeError, ValueError) as reason:
            yield problems.not_convertible(spec, inputs[spec.name], str(reason))
            return
        file_kind = FILE_INPUTS.get((kind.name, spec.name))
        if self._rules.catalogue.has_model(kind.name, spec.name, value):
            return
        if file_kind is None:
            yield from self._check_range(spec, value)
        elif not isinstance(value, str):
            problem = f"'{type(value).__name__}' object has no attribute 'endswith'"
            raise _Crash("AttributeError", problem)
        elif not self._rules.has_input_file(value):
            yield problems.no_such_file(spec, file_kind, value)

    def _check_range(self, spec: InputSpec, value: Any) -> Iterator[Problem]:
        choices = self._choices(spec)
        if "min" in spec.options and value < spec.options["min"]:
            yield problems.too_small(spec, value)
        elif "max" in spec.options and value > spec.options["max"]:
            yield problems.too_big(spec, value)
        elif choices is not None and value not in choices:
            yield problems.not_in_list(spec, value, choices)

    def _choices(self, spec: InputSpec) -> list[Any] | None:
        if isinstance(spec.type, list):
            return spec.type
        if spec.type == "COMBO" and self._rules.wire.checks_combos:
            return list(spec.options.get("options", []))
        return None

    def _note_cycle(self, members: list[str]) -> None:
        if not self._rules.wire.names_missing_nodes:
            return  # the older generation overflows its stack, and can name no node
        path = " -> ".join(
            f"{node_id} ({self._graph[node_id]['class_type']})"
            for node_id in [*members, members[0]]
        )
        for node_id in members:
            self._cycles[node_id] = problems.dependency_cycle(node_id, members, path)


def _converted(spec: InputSpec, value: Any) -> Any:
    if isinstance(value, dict) and "__value__" in value:  # how a literal list is written
        value = value["__value__"]
    convert = CONVERSIONS.get(spec.type) if isinstance(spec.type, str) else None
    return convert(value) if convert else value


def types_match(received: str | list[Any], wanted: str | list[Any]) -> bool:
    """Return whether an output may feed an input, decided in the order of ComfyUI's own code.

    Types are comma-separated alternatives; a list of values is a type of older nodes.
    """
    if received == wanted:
        return True
    offered, accepted = _alternatives(received), _alternatives(wanted)
    if "*" in offered | accepted or MATCH_TYPE in (received, wanted):
        return True
    if isinstance(received, list) and wanted == "COMBO":
        return True
    return not offered.isdisjoint(accepted)


def _alternatives(declared: str | list[Any]) -> set[str]:
    if isinstance(declared, list):
        return set()
    return {kind.strip() for kind in declared.split(",")}
