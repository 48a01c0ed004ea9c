from typing import Any

import pytest

from comfyq.domain.graph.graph import (
    Input,
    Ref,
    consumers,
    copied,
    faults,
    insert_loras,
    is_ui_export,
    reference,
    set_input,
)
from comfyq.domain.graph.loras import Lora, parse_lora


def graph() -> dict[str, Any]:
    return {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "m.safetensors"}},
        "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "c.safetensors"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["2", 0]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["2", 0]}},
        "5": {
            "class_type": "KSampler",
            "inputs": {"model": ["1", 0], "positive": ["3", 0], "negative": ["4", 0]},
        },
    }


@pytest.mark.parametrize(
    "value", ["12", ["12"], ["12", "0"], ["12", 0.0], [12, 0], ["12", 0, 1], {"12": 0}, None]
)
def test_what_is_not_a_reference_is_a_value(value: object) -> None:
    assert reference(value) is None


def test_a_reference_names_node_and_output() -> None:
    assert reference(["12", 1]) == Ref("12", 1)


@pytest.mark.parametrize(("written", "index"), [(False, "0"), (True, "1")])
def test_a_truth_value_is_the_index_that_python_takes_it_for(written: bool, index: str) -> None:
    assert str(reference(["12", written])) == str(Ref("12", int(index)))


def test_a_graph_without_faults() -> None:
    assert not faults(graph())


def test_an_editor_export_is_recognised() -> None:
    export = {"last_node_id": 9, "nodes": [{"id": 1, "type": "KSampler"}], "links": []}
    assert is_ui_export(export)
    assert [fault.node for fault in faults(export)] == [None]
    assert "Export (API)" in faults(export)[0].message


@pytest.mark.parametrize("value", [None, [], {}, "x", 3])
def test_what_is_no_graph_at_all(value: object) -> None:
    assert [fault.node for fault in faults(value)] == [None]


@pytest.mark.parametrize(
    ("node", "fault"),
    [
        ("x", "a node is an object"),
        ({"inputs": {}}, "`class_type`"),
        ({"class_type": "A"}, "`inputs`"),
        ({"class_type": "A", "inputs": {"x": ["99", 0]}}, "`x` refers to node 99"),
    ],
)
def test_a_fault_names_its_node(node: Any, fault: str) -> None:
    listed = faults(graph() | {"6": node})
    assert [each.node for each in listed] == ["6"]
    assert fault in listed[0].message


def test_loras_are_chained_and_every_consumer_is_rewired() -> None:
    changed = graph()
    insert_loras(
        changed, [Lora("a.pt", 0.5), Lora("b.pt", -1.0)], model=Ref("1", 0), clip=Ref("2", 0)
    )
    first, second = (node for node in changed if node not in graph())
    assert changed[first] == {
        "class_type": "LoraLoader",
        "inputs": {
            "lora_name": "a.pt",
            "strength_model": 0.5,
            "strength_clip": 0.5,
            "model": ["1", 0],
            "clip": ["2", 0],
        },
    }
    assert changed[second]["inputs"]["model"] == [first, 0]
    assert changed[second]["inputs"]["clip"] == [first, 1]
    assert consumers(changed, Ref(second, 0)) == [Input("5", "model")]
    assert consumers(changed, Ref(second, 1)) == [Input("3", "clip"), Input("4", "clip")]
    assert consumers(changed, Ref("1", 0)) == [Input(first, "model")]
    assert not faults(changed)


def test_without_a_clip_the_loaders_change_the_model_alone() -> None:
    changed = graph()
    insert_loras(changed, [Lora("a.pt")], model=Ref("1", 0))
    (added,) = (node for node in changed if node not in graph())
    assert changed[added] == {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"lora_name": "a.pt", "strength_model": 1.0, "model": ["1", 0]},
    }
    assert changed["3"]["inputs"]["clip"] == ["2", 0]


def test_no_loras_change_nothing() -> None:
    changed = graph()
    insert_loras(changed, [], model=Ref("1", 0), clip=Ref("2", 0))
    assert changed == graph()


def test_new_nodes_take_no_id_that_is_taken() -> None:
    taken = graph() | {"lora_1": graph()["4"]}
    insert_loras(taken, [Lora("a.pt")], model=Ref("1", 0), clip=Ref("2", 0))
    assert taken["lora_1"]["class_type"] == "CLIPTextEncode"
    assert taken["5"]["inputs"]["model"] == ["lora_2", 0]


def test_a_copy_is_changed_alone() -> None:
    template = graph()
    copy = copied(template)
    set_input(copy, Input("3", "clip"), ["9", 0])
    copy["3"]["class_type"] = "Other"
    del copy["5"]
    assert template == graph()


@pytest.mark.parametrize(
    ("text", "lora"),
    [
        ("a", Lora("a.safetensors", 1.0)),
        ("a:0.8", Lora("a.safetensors", 0.8)),
        ("a.safetensors:0.8", Lora("a.safetensors", 0.8)),
        ("styles/a.pt:-1", Lora("styles/a.pt", -1.0)),
        ("a:b", Lora("a:b.safetensors", 1.0)),
        ("a:b:.5", Lora("a:b.safetensors", 0.5)),
        ("a:1:2", Lora("a.safetensors", 1.0, 2.0)),
        ("a:b:1:.5", Lora("a:b.safetensors", 1.0, 0.5)),
        ("a:1:2:3", Lora("a:1.safetensors", 2.0, 3.0)),
        ("a: 1e-1 ", Lora("a.safetensors", 0.1)),
        ("v1.5", Lora("v1.5.safetensors", 1.0)),
        ("A.SafeTensors", Lora("A.SafeTensors", 1.0)),
        ("a:1_0", Lora("a:1_0.safetensors", 1.0)),
    ],
)
def test_loras_as_clients_write_them(text: str, lora: Lora) -> None:
    assert parse_lora(text) == lora
    assert parse_lora(str(lora)) == lora


@pytest.mark.parametrize(
    "text", ["", "  ", ":1", " :0.5", "a:nan", "a:inf", "a:-Infinity", "a:1e999"]
)
def test_loras_that_name_nothing_or_have_no_finite_strength(text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        parse_lora(text)
