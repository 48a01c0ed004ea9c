"""The shipped workflow, as a client's request meets it."""

import json
import math
import random
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.errors import InvalidParameters
from comfyq.domain.graph.graph import faults
from comfyq.domain.workflow.parameters import Parameter
from comfyq.domain.workflow.suiting import DRAWN_SEEDS
from comfyq.domain.workflow.workflow import Resolved
from tests.paths import WORKFLOWS

FLUX = load_workflow(WORKFLOWS / "flux-dev")
MINIMAL = {"prompt": "a fox"}


def resolve(**values: Any) -> Resolved:
    return FLUX.resolve(MINIMAL | values, draw_seed=lambda: 7)


def graph_of(**values: Any) -> dict[str, Any]:
    return FLUX.bind(resolve(**values).parameters)


def refused(**values: Any) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as raised:
        FLUX.resolve(values, draw_seed=lambda: 7)
    return {error.field: error.message for error in raised.value.fields}


def test_defaults_are_those_of_the_specification() -> None:
    assert resolve().parameters == {
        "prompt": "a fox",
        "width": 1024,
        "height": 1024,
        "steps": 20,
        "cfg": 7.0,
        "seed": 7,
        "sampler": "euler",
        "scheduler": "simple",
        "loras": [],
    }


def test_every_parameter_lands_in_its_node() -> None:
    graph = graph_of(
        width=64,
        height=128,
        steps=4,
        cfg=3.5,
        seed=9,
        sampler="heun",
        scheduler="beta",
    )
    assert graph["6"]["inputs"]["text"] == "a fox"
    assert graph["27"]["inputs"] == {"width": 64, "height": 128, "batch_size": 1}
    assert (graph["30"]["inputs"]["width"], graph["30"]["inputs"]["height"]) == (64, 128)
    assert (graph["17"]["inputs"]["steps"], graph["17"]["inputs"]["scheduler"]) == (4, "beta")
    assert graph["26"]["inputs"]["guidance"] == 3.5
    assert graph["25"]["inputs"]["noise_seed"] == 9
    assert graph["16"]["inputs"]["sampler_name"] == "heun"


def test_loras_stand_between_the_loaders_and_whatever_uses_them() -> None:
    graph = graph_of(loras=["one:0.8", "two.safetensors"])
    assert [graph[node]["inputs"]["lora_name"] for node in ("lora_1", "lora_2")] == [
        "one.safetensors",
        "two.safetensors",
    ]
    assert graph["lora_1"]["inputs"]["strength_model"] == 0.8
    assert graph["30"]["inputs"]["model"] == ["lora_2", 0]
    assert graph["6"]["inputs"]["clip"] == ["lora_2", 1]


def test_the_template_is_never_changed() -> None:
    before = deepcopy(FLUX.graph)
    graph = graph_of(loras=["one"], width=64)
    graph["13"]["inputs"]["noise"] = "x"
    del graph["6"]
    assert FLUX.graph == before


def test_a_seed_is_drawn_only_if_asked_for() -> None:
    drawn = FLUX.resolve(MINIMAL | {"seed": -1}, draw_seed=lambda: 2**60 + 3)
    assert drawn.parameters["seed"] == (2**60 + 3) % DRAWN_SEEDS
    kept = FLUX.resolve(MINIMAL | {"seed": 2**64 - 1}, draw_seed=lambda: pytest.fail("drawn"))
    assert kept.parameters["seed"] == 2**64 - 1


def test_null_stands_for_the_default() -> None:
    assert resolve(width=None, seed=None, loras=None) == resolve()


def test_a_negative_prompt_is_accepted_with_a_warning() -> None:
    resolved = resolve(negative_prompt="blurry")
    assert "negative_prompt" in resolved.warnings[0]
    assert resolved.parameters == resolve().parameters
    assert not resolve(negative_prompt="").warnings
    assert not resolve(negative_prompt=None).warnings


def test_every_bad_field_is_named_at_once() -> None:
    errors = refused(widht=64, width=17, steps="8", sampler="eulr", loras=["a", "", 3])
    assert set(errors) == {"prompt", "widht", "width", "steps", "sampler", "loras.1", "loras.2"}
    assert "'width'" in errors["widht"]
    assert "16 or 32" in errors["width"]
    assert "'euler'" in errors["sampler"]
    assert errors["prompt"] == "is required"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", ""),
        ("prompt", "a\0b"),
        ("prompt", "\ud800"),
        ("prompt", "x" * 10_001),
        ("prompt", 3),
        ("negative_prompt", ["x"]),
        ("width", True),
        ("width", "64"),
        ("width", 64.5),
        ("width", 0),
        ("width", -16),
        ("width", 8192),
        ("width", 10**400),
        ("width", math.inf),
        ("steps", 0),
        ("steps", 151),
        ("steps", False),
        ("steps", {}),
        ("cfg", math.nan),
        ("cfg", -math.inf),
        ("cfg", 10**400),
        ("cfg", -0.1),
        ("cfg", "7"),
        ("cfg", True),
        ("seed", -2),
        ("seed", 2**64),
        ("seed", "1"),
        ("seed", True),
        ("seed", 0.5),
        ("sampler", ""),
        ("sampler", 1),
        ("sampler", "EULER"),
        ("loras", "a:1"),
        ("loras", {"a": 1}),
        ("loras", ["a"] * 101),
        ("nonsense", None),
        ("", 1),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: Any) -> None:
    assert set(refused(**(MINIMAL | {name: value}))) == {name}


def test_numbers_may_be_written_as_json_allows() -> None:
    parameters = resolve(width=64.0, cfg=3).parameters
    assert (parameters["width"], parameters["cfg"]) == (64, 3.0)
    assert isinstance(parameters["width"], int)


def test_a_flood_of_unknown_fields_is_refused_as_one() -> None:
    values = {f"field{number}": 1 for number in range(1_000)}
    assert list(refused(**values)) == [""]


def test_a_huge_or_unprintable_name_is_quoted_short_and_printable() -> None:
    long, broken = refused(**(MINIMAL | {"x" * 100_000: 1, "\ud800": 1}))
    assert len(long) < 100
    assert broken.encode()


def test_the_schema_says_what_resolve_does() -> None:
    schema = FLUX.json_schema()
    assert schema["required"] == ["prompt"]
    assert schema["properties"]["width"]["multipleOf"] == 16
    assert schema["properties"]["seed"]["minimum"] == -1
    assert schema["properties"]["cfg"]["default"] == 7.0
    assert set(schema["properties"]) == {*FLUX.parameters, "preset"}
    assert json.loads(json.dumps(schema)) == schema


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50
)
ALLOWED: Mapping[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "ignored": TEXT,
    "size": st.integers(1, 256).map(lambda n: n * 16),
    "integer": st.integers(1, 150),
    "number": st.floats(0, 100),
    "seed": st.integers(-1, 2**64 - 1),
    "loras": st.lists(
        st.tuples(st.from_regex(r"[a-z/.]{1,20}", fullmatch=True), st.floats(-100, 100)).map(
            lambda lora: f"{lora[0]}:{lora[1]!r}"
        ),
        max_size=5,
    ),
}


def allowed(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.kind == "enum":
        return st.sampled_from(parameter.choices or ())
    return ALLOWED[parameter.kind]


def requests() -> st.SearchStrategy[dict[str, Any]]:
    given_ = {name: allowed(p) for name, p in FLUX.parameters.items() if p.required}
    left = {name: allowed(p) | st.none() for name, p in FLUX.parameters.items() if not p.required}
    return st.fixed_dictionaries(given_, optional=left)


@given(requests())
def test_every_allowed_value_binds(values: dict[str, Any]) -> None:
    resolved = FLUX.resolve(values, draw_seed=lambda: random.getrandbits(63))
    graph = FLUX.bind(resolved.parameters)
    assert not faults(graph)
    assert set(graph) - set(FLUX.graph) == {
        f"lora_{number + 1}" for number in range(len(resolved.parameters["loras"]))
    }
    assert 0 <= resolved.parameters["seed"] < 2**64
    stored = json.loads(json.dumps(resolved.parameters))
    again = FLUX.resolve(stored, draw_seed=lambda: pytest.fail("drawn twice"))
    assert again.parameters == resolved.parameters
    assert FLUX.bind(again.parameters) == graph


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=10,
)
SAMPLERS = FLUX.parameters["sampler"].choices or ()
WRONG: Mapping[str, st.SearchStrategy[Any]] = {
    "width": st.integers(max_value=15)
    | st.integers(min_value=4097)
    | st.integers(16, 4096).filter(lambda n: n % 16)
    | st.floats().filter(lambda x: not x.is_integer()),
    "steps": st.integers(max_value=0) | st.integers(min_value=151) | st.text(),
    "cfg": st.floats(max_value=-1e-300) | st.floats(min_value=100.0001) | st.text() | st.booleans(),
    "seed": st.integers(max_value=-2) | st.integers(min_value=2**64) | st.booleans(),
    "sampler": st.text().filter(lambda name: name not in SAMPLERS),
    "loras": st.text() | st.integers() | st.lists(st.integers() | st.booleans(), min_size=1),
}


@given(st.data())
def test_every_other_value_is_refused_by_name(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(WRONG)))
    errors = refused(**(MINIMAL | {name: data.draw(WRONG[name])}))
    assert {field.split(".")[0] for field in errors} == {name}


@given(st.dictionaries(st.sampled_from(sorted(FLUX.parameters)) | st.text(), JSON))
def test_nothing_else_is_ever_raised(values: dict[str, Any]) -> None:
    try:
        resolved = FLUX.resolve(values, draw_seed=lambda: 7)
    except InvalidParameters as refusal:
        messages = [error.message for error in refusal.fields]
    else:
        messages = [fault.message for fault in faults(FLUX.bind(resolved.parameters))]
        assert not messages
        return
    assert messages
    assert all(message.encode() for message in messages)
