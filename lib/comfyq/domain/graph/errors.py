"""Errors of a node, in ComfyUI's own words and shape.

Texts are those of ComfyUI's ``execution.py``; ``suggestions`` in ``extra_info`` is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.files.sources import without_secrets
from comfyq.domain.graph.node_catalogue import InputSpec

LONGEST_SHOWN_LIST = 20  # longer lists of choices are left out, as ComfyUI does
MAX_VALUE_CHARS = 200
MAX_MEMBERS = 20  # of a cycle that are listed

# kinds of errors, of which another ComfyUI may be free
UNKNOWN_CLASS = "missing_node_type"
NOT_IN_LIST = "value_not_in_list"

FORBIDDEN_CLASS = "forbidden_class"
OUTSIDE_PATH, UNKNOWN_PATH = "outside_path", "unknown_path"
PATHS = frozenset({OUTSIDE_PATH, UNKNOWN_PATH})


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphError:
    """One thing that is wrong with one node."""

    node: str
    class_type: str
    kind: str  # ComfyUI's ``type``
    message: str
    details: str = ""
    input: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As ComfyUI shows an error of a node."""
        extra = dict(self.extra)
        if self.input is not None:
            extra = {"input_name": self.input} | extra
        if self.suggestions:
            extra["suggestions"] = list(self.suggestions)
        return {
            "type": self.kind,
            "message": self.message,
            "details": self.details,
            "extra_info": extra,
        }

    def readable(self) -> str:
        """For a person, with what would be right."""
        said = f"{self.message}: {self.details}" if self.details else self.message
        if not self.suggestions:
            return said
        return f"{said}; did you mean {' or '.join(map(repr, self.suggestions[:2]))}?"


@dataclass(frozen=True, slots=True)
class At:
    """The node that an error is about."""

    node: str
    class_type: str

    def unknown_class(self, names: Sequence[str]) -> GraphError:
        return self._error(
            UNKNOWN_CLASS,
            f"Node '{_cut(self.class_type)}' not found. The custom node may not be installed.",
            f"Node ID '#{self.node}'",
            extra={"node_id": self.node, "class_type": _cut(self.class_type)},
            suggestions=tuple(names),
        )

    def cycle(self, members: Sequence[str]) -> GraphError:
        rest = [members[0]] if len(members) <= MAX_MEMBERS else ["…", members[0]]
        path = " -> ".join([*members[:MAX_MEMBERS], *rest])
        extra = {"node_id": self.node, "cycle_nodes": list(members[:MAX_MEMBERS])}
        return self._error("dependency_cycle", "Dependency cycle detected", path, extra=extra)

    def missing(self, spec: InputSpec) -> GraphError:
        message = "Required input is missing"
        return self._error("required_input_missing", message, spec.name, input=spec.name)

    def bad_link(self, spec: InputSpec, value: Any) -> GraphError:
        message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
        return self._of_value("bad_linked_input", message, spec.name, spec, value)

    def no_such_output(self, spec: InputSpec, link: Sequence[Any], outputs: int) -> GraphError:
        details = f"{spec.name}, node {link[0]} has no output {link[1]}; it has {outputs}"
        message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
        return self._of_value("bad_linked_input", message, details, spec, list(link))

    def type_mismatch(self, spec: InputSpec, received: Any, link: Sequence[Any]) -> GraphError:
        return self._error(
            "return_type_mismatch",
            "Return type mismatch between linked nodes",
            f"{spec.name}, received_type({received}) mismatch input_type({spec.type})",
            input=spec.name,
            extra={
                "input_config": spec.config,
                "received_type": received,
                "linked_node": list(link),
            },
        )

    def not_convertible(self, spec: InputSpec, value: Any, reason: str) -> GraphError:
        kind = spec.type if isinstance(spec.type, str) else "STRING"
        message = f"Failed to convert an input value to a {kind} value"
        details = f"{spec.name}, {_cut(value)}, {_cut(reason)}"
        return self._of_value("invalid_input_type", message, details, spec, value)

    def too_small(self, spec: InputSpec, value: Any) -> GraphError:
        message = f"Value {_cut(value)} smaller than min of {spec.options['min']}"
        return self._of_value("value_smaller_than_min", message, spec.name, spec, value)

    def too_big(self, spec: InputSpec, value: Any) -> GraphError:
        message = f"Value {_cut(value)} bigger than max of {spec.options['max']}"
        return self._of_value("value_bigger_than_max", message, spec.name, spec, value)

    def not_in_list(self, spec: InputSpec, value: Any, near: Sequence[str]) -> GraphError:
        choices = spec.choices or ()
        is_long = len(choices) > LONGEST_SHOWN_LIST
        shown = f"(list of length {len(choices)})" if is_long else str(list(choices))
        return self._error(
            NOT_IN_LIST,
            "Value not in list",
            f"{spec.name}: '{_cut(value)}' not in {shown}",
            input=spec.name,
            extra={
                "input_config": None if is_long else spec.config,
                "received_value": _received(value),
            },
            suggestions=tuple(near),
        )

    def unsafe_name(self, name: str, character: str, position: int) -> GraphError:
        message = "A file's name has no control characters"
        details = f"{name} has {character} at position {position}"
        return self._error("invalid_file_name", message, details, input=name)

    def foreign_name(self, name: str) -> GraphError:
        message = "A file of a job cannot be named"
        details = f"{name}: send the file itself, as an asset, a URL or a data URI"
        return self._error("foreign_file", message, details, input=name)

    def outside_path(self, name: str) -> GraphError:
        message = "A file or folder is named below ComfyUI's own folders"
        details = (
            f"{name}: no absolute path and no `..`; send a file as an asset, a URL or a data URI"
        )
        return self._error(OUTSIDE_PATH, message, details, input=name)

    def forbidden_class(self, rule: str) -> GraphError:
        message = "Nodes of this class may not run here"
        details = f"{rule}; leave the node out, or ask the server's operator to allow it"
        return self._error(FORBIDDEN_CLASS, message, details)

    def not_own_file(self, name: str, rule: str) -> GraphError:
        message = "A job may load its own files alone here"
        details = f"{name}: {rule}; send the file as an asset, a URL or a data URI"
        return self._error("foreign_file", message, details, input=name)

    def unknown_path(self, name: str, source: str) -> GraphError:
        message = "The path of a file or folder must be known before the graph runs"
        details = (
            f"{name}: node {_cut(source)} computes it; write the path into `{name}` itself, or "
            "make it of PrimitiveString and StringConcatenate nodes with nothing but literal texts"
        )
        return self._error(UNKNOWN_PATH, message, details, input=name)

    def _of_value(
        self, kind: str, message: str, details: str, spec: InputSpec, value: Any
    ) -> GraphError:
        extra = {"input_config": spec.config, "received_value": _received(value)}
        return self._error(kind, message, details, input=spec.name, extra=extra)

    def _error(self, kind: str, message: str, details: str, **more: Any) -> GraphError:
        return GraphError(
            node=self.node,
            class_type=self.class_type,
            kind=kind,
            message=message,
            details=details,
            **more,
        )


def _received(value: Any) -> Any:
    """The client's own value without secrets of URLs; of anything long, its beginning."""
    if isinstance(value, str):
        return _cut(value)
    short = value is None or isinstance(value, bool | float)
    return value if short or len(str(_cut(value))) < MAX_VALUE_CHARS else _cut(value)


def _cut(value: Any) -> str:
    text = without_secrets(value if isinstance(value, str) else _text(value))
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "…"


def _text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
