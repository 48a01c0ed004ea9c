"""Values that a manifest allows, and manifests and graphs that somebody has spoilt."""

import copy
import math
from typing import Any

from hypothesis import strategies as st

from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.workflow import Workflow

TEXT = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3)
    ),
    max_leaves=6,
)


def allowed(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Any value that the parameter accepts."""
    low, high = parameter.minimum, parameter.maximum
    match parameter.kind:
        case "integer" | "size" | "seed":
            assert low is not None
            assert high is not None
            step = parameter.multiple_of or 1
            multiples = st.integers(math.ceil(low / step), int(high) // step)
            return multiples.map(lambda multiple: multiple * step)
        case "number":
            return st.floats(low, high, allow_nan=False)
        case "boolean":
            return st.booleans()
        case "enum":
            assert parameter.choices
            return st.sampled_from(parameter.choices)
        case "loras":
            return st.lists(_lora(parameter), max_size=4)
        case "image" | "mask" | "video" | "audio":
            return st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AA=="])
        case _:
            return TEXT.filter(lambda text: len(text) >= parameter.min_length)


def _lora(parameter: Parameter) -> st.SearchStrategy[str]:
    assert parameter.choices
    strength = st.floats(parameter.minimum, parameter.maximum, allow_nan=False)
    names = st.sampled_from(parameter.choices)
    return st.builds("{}:{!r}:{!r}".format, names, strength, strength) | names


def requests_of(workflow: Workflow) -> st.SearchStrategy[dict[str, Any]]:
    """Any request that the workflow accepts."""
    parameters = workflow.parameters.values()
    must = {p.name: allowed(p) for p in parameters if p.required}
    may = {p.name: allowed(p) for p in parameters if not p.required}
    return st.fixed_dictionaries(must, optional=may)


@st.composite
def spoilt(draw: st.DrawFn, whole: Any) -> Any:
    """A copy in which one to three places have something else, or nothing, in them."""
    changed = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, changed)
    return changed


def _spoil(draw: st.DrawFn, value: Any) -> None:
    """Go down to a random place and change it."""
    while isinstance(value, dict | list) and value:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        if not isinstance(value[key], dict | list) or draw(st.integers(0, 3)) == 0:
            _change(draw, value, key)
            return
        value = value[key]


def _change(draw: st.DrawFn, value: Any, key: Any) -> None:
    match draw(st.sampled_from(["replace", "delete", "link", "rename"])):
        case "delete":
            del value[key]
        case "link":
            value[key] = [
                draw(st.sampled_from(["3", "4", "9", "13", "99"])),
                draw(st.integers(-1, 3)),
            ]
        case "rename" if isinstance(value, dict):
            value[draw(st.text(min_size=1, max_size=8))] = value.pop(key)
        case _:
            value[key] = draw(JSON)
