"""ComfyUI's error texts for invalid graphs."""

from typing import Any

from comfyui_simulator.catalogue import InputSpec

Problem = dict[str, Any]

# Longer lists of choices are left out of the answer, as ComfyUI does.
LONGEST_SHOWN_LIST = 20


def problem(kind: str, message: str, details: str = "", **extra: Any) -> Problem:
    """`{type, message, details, extra_info}`, the shape of every error."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def no_prompt() -> Problem:
    return problem("no_prompt", "No prompt provided", "No prompt provided")


def no_outputs() -> Problem:
    return problem("prompt_no_outputs", "Prompt has no outputs")


def bad_prompt_id() -> Problem:
    return problem(
        "invalid_prompt_id",
        "prompt_id must be a valid UUID",
        "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
        "omit it to let the server generate one",
    )


def outputs_failed(problems: list[Problem]) -> Problem:
    """No output is valid; `problems` are those of the outputs themselves."""
    details = "\n".join(f"{each['message']}: {each['details']}" for each in problems)
    return problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)


def no_class_type(node_id: str) -> Problem:
    message = "Cannot execute because a node is missing the class_type property."
    return problem("invalid_prompt", message, f"Node ID '#{node_id}'")


def unknown_class(node_id: str, class_type: str) -> Problem:
    message = f"Cannot execute because node {class_type} does not exist."
    return problem("invalid_prompt", message, f"Node ID '#{node_id}'")


def missing_node_type(node_id: str, class_type: str | None, title: str) -> Problem:
    """Both of the above, as the newer generation says them."""
    said = (
        f"Node '{title}' has no class_type. "
        "The workflow may be corrupted or a custom node is missing."
        if class_type is None
        else f"Node '{title}' not found. The custom node may not be installed."
    )
    extra = {"node_id": node_id, "class_type": class_type, "node_title": title}
    return problem("missing_node_type", said, f"Node ID '#{node_id}'", **extra)


def dependency_cycle(node_id: str, members: list[str], path: str) -> Problem:
    extra = {"node_id": node_id, "cycle_nodes": members}
    return problem("dependency_cycle", "Dependency cycle detected", path, **extra)


def validation_crashed(exception_type: str, details: str) -> Problem:
    return problem(
        "exception_during_validation",
        "Exception when validating node",
        details,
        exception_type=exception_type,
        traceback=["  in validate_inputs\n"],
    )


def inner_validation_crashed(
    spec: InputSpec, link: list[Any], exception_type: str, details: str
) -> Problem:
    return problem(
        "exception_during_inner_validation",
        "Exception when validating inner node",
        details,
        input_name=spec.name,
        input_config=spec.config,
        exception_message=details,
        exception_type=exception_type,
        traceback=["  in validate_inputs\n"],
        linked_node=link,
    )


def input_missing(spec: InputSpec) -> Problem:
    message = "Required input is missing"
    return problem("required_input_missing", message, spec.name, input_name=spec.name)


def bad_link(spec: InputSpec, value: Any) -> Problem:
    message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
    return _of_value("bad_linked_input", message, spec.name, spec, value)


def type_mismatch(spec: InputSpec, received: str, link: list[Any]) -> Problem:
    return problem(
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        f"{spec.name}, received_type({received}) mismatch input_type({spec.type})",
        input_name=spec.name,
        input_config=spec.config,
        received_type=received,
        linked_node=link,
    )


def not_convertible(spec: InputSpec, value: Any, reason: str) -> Problem:
    message = f"Failed to convert an input value to a {spec.type} value"
    problem = _of_value(
        "invalid_input_type", message, f"{spec.name}, {value}, {reason}", spec, value
    )
    problem["extra_info"]["exception_message"] = reason
    return problem


def too_small(spec: InputSpec, value: Any) -> Problem:
    message = f"Value {value} smaller than min of {spec.options['min']}"
    return _of_value("value_smaller_than_min", message, spec.name, spec, value)


def too_big(spec: InputSpec, value: Any) -> Problem:
    message = f"Value {value} bigger than max of {spec.options['max']}"
    return _of_value("value_bigger_than_max", message, spec.name, spec, value)


def not_in_list(spec: InputSpec, value: Any, choices: list[Any]) -> Problem:
    is_long = len(choices) > LONGEST_SHOWN_LIST
    shown = f"(list of length {len(choices)})" if is_long else str(choices)
    details = f"{spec.name}: '{value}' not in {shown}"
    problem = _of_value("value_not_in_list", "Value not in list", details, spec, value)
    if is_long:
        problem["extra_info"]["input_config"] = None
    return problem


def no_such_file(spec: InputSpec, kind: str, value: Any) -> Problem:
    message = "Custom validation failed for node"
    details = f"{spec.name} - Invalid {kind} file: {value}"
    return problem("custom_validation_failed", message, details, input_name=spec.name)


def _of_value(kind: str, message: str, details: str, spec: InputSpec, value: Any) -> Problem:
    extra = {"input_name": spec.name, "input_config": spec.config, "received_value": value}
    return problem(kind, message, details, **extra)
