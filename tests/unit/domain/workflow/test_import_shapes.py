"""Shapes of graphs that people export, and what an import makes of each."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.workflow.importer import Proposal, propose
from tests.catalogue_lab import INFO
from tests.paths import DATA

SHAPES = json.loads((DATA / "comfyui" / "0.33.0" / "shapes.json").read_text())
TEXT = ["STRING", {"multiline": True}]


def custom(required: Any, output: Sequence[Any] = (), *, is_output: bool = False) -> Any:
    return {
        "input": {"required": required},
        "output": list(output),
        "output_node": is_output,
        "python_module": "custom_nodes.odd",
    }


ODD = {
    "TextEncodeAce": custom({"clip": ["CLIP"], "tags": TEXT, "lyrics": TEXT}, ["CONDITIONING"]),
    "Partner": custom({"prompt": TEXT, "aspect_ratio": [["1:1", "16:9"]]}, ["IMAGE"]),
    "Language": custom({"prompt": TEXT, "system_prompt": TEXT}, ["STRING"]),
    "Pictures": custom({"picture": [[], {"image_upload": True}]}, ["IMAGE"]),
    "Films": custom({"film": ["COMBO", {"options": [], "video_upload": True}]}, ["VIDEO"]),
    "Sounds": custom({"sound": [[], {"audio_upload": True}]}, ["AUDIO"]),
    "OddSampler": custom({"scheduler": [["odd", "even"]], "steps": ["INT", {}]}, ["IMAGE"]),
    "Seed32": custom({"seed": ["INT", {"min": 0, "max": 2**32 - 1}]}, ["IMAGE"]),
    "Keep": custom({"images": ["IMAGE"]}, ["IMAGE"], is_output=True),
    "OddLoader": custom({"weights": [["a.safetensors", "b.safetensors"]]}, ["MODEL"]),
    "LoraOdd": custom({"file": [["x/one.safetensors"]]}, ["MODEL"]),
    "LoraLoader": custom({"lora_name": [["x/one.safetensors"]]}, ["MODEL"]),
    "LTXAVTextEncoderLoader": custom({"text_encoder": [["gemma.safetensors"]]}, ["CLIP"]),
    "StyleModelLoader": custom({"style_model_name": [["redux.safetensors"]]}, ["STYLE_MODEL"]),
}
KNOWN = read_catalogue({**SHAPES, **INFO, **ODD})


def node(class_type: str, *, title: Any = "", **inputs: Any) -> dict[str, Any]:
    meta = {"_meta": {"title": title}} if title else {}
    return {"class_type": class_type, "inputs": inputs, **meta}


def imported(
    graph: dict[str, Any], catalogue: NodeCatalogue | None = None, outputs: Sequence[str] = ()
) -> Proposal:
    return propose(graph, title="t", catalogue=catalogue, outputs=outputs)


def bound(proposal: Proposal) -> dict[str, Any]:
    return {name: table.get("bind") for name, table in proposal.parameters.items()}


def sampled(**inputs: Any) -> dict[str, Any]:
    links = {"positive": ["6", 0], "negative": ["7", 0], "model": ["4", 0]}
    values = {"seed": 7, "steps": 4, "cfg": 2.0, "sampler_name": "euler", "scheduler": "simple"}
    return {
        "3": node("KSampler", **(links | values | inputs)),
        "4": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "6": node("CLIPTextEncode", text="a fox", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "9": node("SaveImage", images=["3", 0], filename_prefix="p"),
    }


both = pytest.mark.parametrize("catalogue", [None, KNOWN], ids=["blind", "known"])


@both
def test_numbers_behind_links_are_bound_where_they_are_written(
    catalogue: NodeCatalogue | None,
) -> None:
    graph = sampled(seed=["20", 0], steps=["21", 0], cfg=["22", 0]) | {
        "20": node("PrimitiveInt", value=99, control_after_generate="fixed"),
        "21": node("Reroute", **{"": ["23", 0]}),
        "22": node("PrimitiveFloat", value=3.5),
        "23": node("PrimitiveInt", value=8),
        "5": node("EmptyLatentImage", width=["24", 0], height=["24", 0], batch_size=1),
        "24": node("PrimitiveInt", value=512),
    }
    proposal = imported(graph, catalogue)
    wanted = {
        "seed": "20.value",
        "steps": "23.value",
        "cfg": "22.value",
        "width": "24.value",
        "height": "5.height",  # one number for two parameters: the second replaces its link
    }
    assert wanted.items() <= bound(proposal).items()
    assert proposal.parameters["height"]["default"] == 512
    assert proposal.parameters["cfg"]["default"] == 3.5
    assert not proposal.not_bound


def sharing(**encoder: Any) -> dict[str, Any]:
    """A graph whose width and height are one number, with another node that takes it too."""
    return sampled(latent_image=["5", 0]) | {
        "5": node("EmptyLatentImage", width=["20", 0], height=["20", 0], batch_size=1),
        "20": node("Reroute", **{"": ["24", 0]}),
        "24": node("PrimitiveInt", value=512),
        "30": node("Encoder", **encoder),
    }


@pytest.mark.parametrize("catalogue", [None, KNOWN], ids=["unknown", "known"])
def test_what_takes_a_number_of_two_parameters_gets_the_right_one_or_is_named(
    catalogue: NodeCatalogue | None,
) -> None:
    sizes = ("width", "height", "target_width", "target_height", "side")
    proposal = imported(sharing(**{name: ["24", 0] for name in sizes}), catalogue)
    assert bound(proposal)["width"] == "24.value"
    assert bound(proposal)["height"] == ["5.height", "30.height", "30.target_height"]
    assert proposal.not_bound == ("side of node 30 (Encoder): it follows width, by its link",)


def test_a_number_that_has_no_parameter_of_its_own_is_named_after_all_that_it_feeds() -> None:
    users = {"5": node("Odd", w=["24", 0], h=["24", 0])}
    proposal = imported(sampled() | users | {"24": node("PrimitiveInt", value=512)})
    assert bound(proposal)["w_and_h"] == "24.value"
    assert proposal.parameters["w_and_h"]["help"].startswith("w of node 5, h of node 5. Sets ")


@pytest.mark.parametrize(("on", "bound_to"), [(True, "21.value"), (False, "22.value")])
def test_a_switch_gives_the_number_of_the_branch_that_is_on(on: bool, bound_to: str) -> None:
    graph = sampled(steps=["20", 0]) | {
        "20": node("ComfySwitchNode", switch=["23", 0], on_true=["21", 0], on_false=["22", 0]),
        "21": node("PrimitiveInt", title="Few", value=4),
        "22": node("PrimitiveInt", title="Many", value=["24", 0], control_after_generate="fixed"),
        "23": node("PrimitiveBoolean", title="Turbo", value=on),
        "24": node("PrimitiveInt", title="Many", value=40),
    }
    parameters = bound(imported(graph, KNOWN))
    assert parameters["steps"] == bound_to.replace("22", "24")
    assert parameters["turbo"] == "23.value"


def test_a_primitive_has_the_range_of_what_it_feeds() -> None:
    graph = {
        "1": node("Seed32", seed=["2", 0]),
        "2": node("PrimitiveInt", value=5),
        "3": node("EmptyLatentImage", width=["4", 0], height=64, batch_size=1),
        "4": node("PrimitiveInt", value=64),
        "9": node("SaveImage", images=["1", 0], filename_prefix="p"),
    }
    parameters = imported(graph, KNOWN).parameters
    assert parameters["seed"]["max"] == 2**32 - 1
    assert (parameters["width"]["multiple_of"], parameters["width"]["min"]) == (8, 16)


def test_a_computed_number_is_named_and_left_alone() -> None:
    graph = sampled(steps=["20", 0]) | {
        "20": node("ComfyMathExpression", expression="a * 2", **{"values.a": ["21", 0]}),
        "21": node("PrimitiveInt", title="Half of the steps", value=2),
    }
    proposal = imported(graph, KNOWN)
    assert "steps" not in proposal.parameters
    assert proposal.parameters["half_of_the_steps"]["bind"] == "21.value"
    [said] = proposal.not_bound
    assert said == "steps of node 3 (KSampler): node 20 (ComfyMathExpression) computes it"


def test_values_that_an_author_set_apart_are_parameters() -> None:
    graph = sampled() | {
        "20": node("PrimitiveFloat", title="Strength of it", value=0.4),
        "21": node("PrimitiveBoolean", value=True),
        "22": node("PrimitiveInt", title="Labels", value=3),
        "30": node("Whatever", strength=["20", 0], tiled=["21", 0], count=["22", 0]),
    }
    parameters = imported(graph).parameters
    assert parameters["strength_of_it"]["default"] == 0.4
    assert parameters["tiled"]["kind"] == "boolean"
    assert parameters["labels_value"]["bind"] == "22.value"  # requests have labels of their own


@pytest.mark.parametrize(
    ("text", "others", "prompt"),
    [
        (["8", 0], {"8": node("PrimitiveStringMultiline", value="a fox")}, "8.value"),
        (
            ["8", 0],
            {
                "8": node("StringConcatenate", string_a="best, ", string_b=["10", 0], delimiter=""),
                "10": node("PrimitiveStringMultiline", value="a"),
            },
            "10.value",
        ),
        (
            ["8", 0],
            {
                "8": node("StringConcatenate", string_a="a long text", string_b="b", delimiter=" "),
            },
            "8.string_a",
        ),
        (
            ["8", 0],
            {
                "8": node("ComfySwitchNode", switch=False, on_true=["10", 0], on_false=["11", 0]),
                "10": node("Language", prompt="not this one", system_prompt="be brief"),
                "11": node("Reroute", **{"": ["12", 0]}),
                "12": node("PrimitiveString", value="a fox"),
            },
            "12.value",
        ),
        (["8", 0], {"8": node("Language", prompt="a", system_prompt="be very brief")}, "8.prompt"),
    ],
    ids=["primitive", "concatenated", "parts", "switch", "language model"],
)
@both
def test_texts_behind_links_are_prompts(
    catalogue: NodeCatalogue | None, text: Any, others: dict[str, Any], prompt: str
) -> None:
    graph = sampled() | others
    graph["6"]["inputs"]["text"] = text
    proposal = imported(graph, catalogue)
    assert proposal.parameters["prompt"]["bind"] == prompt
    assert proposal.parameters["prompt"]["required"]
    assert proposal.parameters["negative_prompt"]["default"] == "blurry"


def test_parts_of_a_prompt_keep_what_their_author_wrote() -> None:
    graph = sampled()
    graph["6"]["inputs"]["text"] = ["8", 0]
    graph["8"] = node("StringConcatenate", string_a="a long text", string_b="style", delimiter=", ")
    parameters = imported(graph, KNOWN).parameters
    assert parameters["prompt_2"]["default"] == "style"
    assert "8.delimiter" not in str(parameters)


@both
def test_encoders_and_partners_of_other_names(catalogue: NodeCatalogue | None) -> None:
    song = {
        "1": node("TextEncodeAce", clip=["4", 1], tags="jazz", lyrics="la la"),
        "3": node("KSampler", positive=["1", 0], seed=1),
        "9": node("SaveAudio", audio=["3", 0]),
    }
    assert bound(imported(song, catalogue)) == {
        "prompt": "1.tags",
        "lyrics": "1.lyrics",
        "seed": "3.seed",
    }
    partner = {
        "1": node("Partner", prompt="a fox", aspect_ratio="16:9"),
        "9": node("SaveImage", images=["1", 0]),
    }
    proposal = imported(partner, catalogue)
    assert proposal.parameters["prompt"]["bind"] == "1.prompt"
    assert proposal.parameters["aspect_ratio"]["default"] == "16:9"
    if catalogue:
        assert proposal.parameters["aspect_ratio"]["choices"] == ["1:1", "16:9"]


@both
def test_loaders_of_other_names_take_files(catalogue: NodeCatalogue | None) -> None:
    graph = {
        "1": node("Pictures" if catalogue else "Load Pictures", picture="a.png"),
        "2": node("Films" if catalogue else "FilmLoader", film="a.mp4"),
        "3": node("Sounds" if catalogue else "load_sounds", sound="a.wav"),
        "4": node("Load3D", model_file="3d/a.glb"),
        "9": node("SaveImage", images=["1", 0]),
    }
    assert bound(imported(graph, catalogue)) == {
        "image": "1.picture",
        "video": "2.film",
        "audio": "3.sound",
        "model_3d": "4.model_file",
    }


def test_a_list_of_its_own_is_not_the_samplers() -> None:
    graph = {"1": node("OddSampler", scheduler="even", steps=3), "9": node("Keep", images=["1", 0])}
    known = imported(graph, KNOWN).parameters["scheduler"]
    assert (known["choices"], known["default"]) == (["odd", "even"], "even")
    assert imported(graph).parameters["scheduler"]["kind"] == "string"
    assert imported(sampled(), KNOWN).parameters["scheduler"]["source"] == "schedulers"


@both
def test_outputs_are_what_saves_or_ends(catalogue: NodeCatalogue | None) -> None:
    image = {"1": node("EmptyImage", width=64, height=64)}
    keep = {"2": node("Keep", images=["1", 0])}
    show = {"3": node("PreviewImage", images=["1", 0])}
    save = {"4": node("Image Save" if catalogue is None else "SaveImage", images=["1", 0])}
    for graph, outputs in (
        (image | keep | show | save, ["4"]),
        (image | keep | show, ["2"]),
        (image | show, ["3"]),
    ):
        assert imported(graph, catalogue).manifest["outputs"] == outputs
    assert imported(image | keep, catalogue, ["1"]).manifest["outputs"] == ["1"]


def test_models_of_any_loader_have_a_folder() -> None:
    graph = {
        "1": node("LTXAVTextEncoderLoader", text_encoder="gemma.safetensors"),
        "2": node("QuadrupleCLIPLoader", clip_name4="t5-base.safetensors"),
        "3": node("AudioEncoderLoader", audio_encoder_name="w2v.safetensors"),
        "4": node("ModelPatchLoader", name="patch.safetensors"),
        "5": node("LoadBackgroundRemovalModel", bg_removal_name="birefnet.safetensors"),
        "6": node("StyleModelLoader", style_model_name="redux.safetensors"),
        "7": node("CLIPVisionLoader", clip_name="siglip.safetensors"),
        "8": node("LoraOdd", file="x/one.safetensors"),  # its list is that of the LoRAs
        "9": node("OddLoader", weights="a.safetensors"),
    }
    folders = {model["file"]: model["folder"] for model in imported(graph, KNOWN).models}
    assert folders == {
        "gemma.safetensors": "text_encoders",
        "t5-base.safetensors": "text_encoders",
        "w2v.safetensors": "audio_encoders",
        "patch.safetensors": "model_patches",
        "birefnet.safetensors": "background_removal",
        "redux.safetensors": "style_models",
        "siglip.safetensors": "clip_vision",
        "x/one.safetensors": "loras",
        "a.safetensors": "weights",
    }
    [guess] = [model for model in imported(graph, KNOWN).models if model["folder"] == "weights"]
    assert "guess" in guess["note"]


def test_what_was_not_found_is_said() -> None:
    graph = {"1": node("EmptyImage", color=3), "9": node("SaveImage", images=["1", 0])}
    proposal = imported(graph)
    assert proposal.parameters == {}
    assert [said.split(" was")[0] for said in proposal.missing] == [
        "no prompt",
        "no seed",
        "no size",
    ]
    assert imported(sampled()).missing == ("no size was found: every result has the graph's own",)


def test_a_node_that_a_manifest_cannot_name_is_said() -> None:
    graph = {"a.1": node("KSampler", seed=1), "9": node("SaveImage", images=["a.1", 0])}
    proposal = imported(graph)
    assert proposal.parameters == {}
    assert "node a.1: a manifest cannot name a node with a dot in its id" in proposal.not_bound
