"""A request is refused before a job exists, in ComfyUI's own words and with what would be right."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.graph.documents.document import Document, read_document
from comfyq.domain.graph.graph import MAX_ID_CHARS
from comfyq.domain.job import JobId
from comfyq.records.indexes.ready_jobs import ReadyRecords
from tests.api_lab import ApiLab
from tests.catalogue_lab import beat, info_with, join, publisher

pytestmark = pytest.mark.anyio

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "color": 0}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "a"}},
}
GRAPH["1"]["inputs"]["batch_size"] = 1


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def post(lab: ApiLab, path: str = "/generate", **body: Any) -> Any:
    return lab.client.post(path, json=body)


def refusal(answer: Any, code: str = "invalid-graph") -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


def fields(problem: dict[str, Any]) -> dict[str, str]:
    return {each["field"]: each["message"] for each in problem["errors"]}


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    body = GRAPH[node]
    return GRAPH | {node: {**body, "inputs": body["inputs"] | inputs}}


async def test_what_no_worker_can_run_yet_is_set_aside_without_a_doorbell(
    lab: ApiLab, tmp_path: Path
) -> None:
    """Else workers would have to look at thousands of them before a job that they can run."""
    await join(lab, tmp_path)
    unsuited: dict[str, Any] = {"prompt": "x", "loras": ["nowhere"], "wait": True}
    alone = post(lab, **unsuited).json()["id"]
    batch = post(lab, "/generate/batch", requests=[unsuited] * 3).json()
    beside = [each["job"]["id"] for each in batch["items"]]
    rung = post(lab, prompt="x").json()["id"]
    assert [message.job_id for message in lab.queue.messages] == [rung]
    for job in [await lab.records.get(job_id) for job_id in (alone, *beside)]:
        assert job.is_aside
        assert "nowhere" in (job.note or "")
        shown = lab.client.get(f"/generate/{job.id}").json()
        assert (shown["status"], shown["queue_position"]) == ("queued", None)
        assert shown["waits_for"].startswith(
            "no worker has what it needs: there is no LoRA 'nowhere'"
        )
    waiting = await ReadyRecords(lab.table).beyond("flux1-dev", None, limit=9)
    assert [each.id for each in waiting] == [rung], "workers choose from these"


async def jobs_of(lab: ApiLab) -> int:
    return len(lab.client.get("/generate").json()["jobs"])


async def test_nothing_is_refused_while_nothing_is_known(lab: ApiLab) -> None:
    assert post(lab, prompt="x", loras=["nowhere"]).status_code == 202


async def test_the_first_worker_is_known_soon_though_nothing_was_known(
    lab: ApiLab, tmp_path: Path
) -> None:
    assert await lab.services.catalogues.known() == []
    await beat(lab, "w1", await publisher(lab, tmp_path).publish())
    lab.clock.advance(1)  # the list is kept for longer, where it is not empty
    assert len(await lab.services.catalogues.known()) == 1


async def test_an_unknown_lora_is_refused_with_the_nearest(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    answer = post(lab, prompt="x", loras=["tiny_flux_lora", "tiny_flx_lora:0.5"])
    problem = fields(refusal(answer, "invalid-parameters"))
    assert list(problem) == ["loras.1"]
    assert "did you mean 'tiny_flux_lora.safetensors'?" in problem["loras.1"]
    assert await jobs_of(lab) == 0


async def test_loras_are_found_without_extension_and_folder(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path, info_with("LoraLoader", "lora_name", ["styles\\ink.pt", "a.pt"]))
    answer = post(lab, "/generate?dry_run=true", prompt="x", loras=["ink:0.8:0.5"])
    rehearsed = answer.json()
    assert rehearsed["parameters"]["loras"] == ["styles\\ink.pt:0.8:0.5"]
    assert rehearsed["graph"]["lora_1"]["inputs"] == {
        "lora_name": "styles\\ink.pt",
        "strength_model": 0.8,
        "strength_clip": 0.5,
        "model": ["12", 0],
        "clip": ["11", 0],
    }


async def test_a_missing_model_is_named_with_where_to_get_it(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path, info_with("UNETLoader", "unet_name", ["flux1-schnell.safetensors"]))
    problem = refusal(post(lab, prompt="x"))
    message = fields(problem)["workflow"]
    assert "did you mean 'flux1-schnell.safetensors'" in message
    assert "https://huggingface.co/black-forest-labs" in message
    [error] = problem["node_errors"]["12"]["errors"]
    assert problem["node_errors"]["12"]["class_type"] == "UNETLoader"
    assert problem["node_errors"]["12"]["dependent_outputs"] == ["9"]
    assert set(error) == {"type", "message", "details", "extra_info"}
    assert error["type"] == "value_not_in_list"
    assert error["extra_info"]["input_name"] == "unet_name"
    assert error["extra_info"]["received_value"] == "flux1-dev.safetensors"


async def test_one_worker_alone_must_be_able_to_run_it(lab: ApiLab, tmp_path: Path) -> None:
    model = info_with("UNETLoader", "unet_name", [])
    lora = info_with("LoraLoader", "lora_name", [])
    await join(lab, tmp_path, model, worker="w1")
    await join(lab, tmp_path, lora, worker="w2")
    assert post(lab, prompt="x").status_code == 202
    assert post(lab, prompt="x", loras=["tiny_flux_lora"]).status_code == 422


async def test_a_graph_is_read_once_for_all_workers(
    lab: ApiLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("a", "b")):
        info = info_with("UNETLoader", "unet_name", [name])
        await join(lab, tmp_path, info, worker=f"w{number}")
    graphs: list[Any] = []

    def read(graph: Any, extra_data: Any) -> Document:
        graphs.append(graph)
        return read_document(graph, extra_data)

    monkeypatch.setattr("comfyq.domain.submission.admission.read_document", read)
    assert post(lab, graph=changed("1", width="wide")).status_code == 422
    assert len(graphs) == 1


async def test_a_job_may_wait_for_a_worker_that_is_not_known(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    assert post(lab, prompt="x", loras=["mine:0.5"], wait=True).status_code == 202
    assert post(lab, prompt=3, wait=True).status_code == 422


async def test_without_a_live_worker_the_last_one_counts(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    lab.clock.advance(86_400)
    assert post(lab, prompt="x", loras=["nowhere"]).status_code == 422
    lab.clock.advance(30 * 86_400)
    assert post(lab, prompt="x", loras=["nowhere"]).status_code == 202


async def test_a_worker_that_leaves_does_not_count(lab: ApiLab, tmp_path: Path) -> None:
    old = await join(lab, tmp_path, info_with("LoraLoader", "lora_name", ["a.pt"]))
    await join(lab, tmp_path, worker="w2")
    await beat(lab, "w1", old, draining=True)
    lab.clock.advance(6)
    assert post(lab, prompt="x", loras=["a"]).status_code == 422


async def test_nothing_is_read_while_it_is_cached(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    assert post(lab, prompt="x").status_code == 202
    lab.assets.stored.clear()
    lab.clock.advance(6)
    assert post(lab, prompt="x", loras=["nowhere"]).status_code == 422


async def test_a_catalogue_that_cannot_be_read_refuses_nothing(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    lab.assets.stored.clear()
    assert post(lab, prompt="x", loras=["nowhere"]).status_code == 202


async def test_requests_at_once_read_a_new_catalogue_once(
    lab: ApiLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = await join(lab, tmp_path)
    read, keys = lab.assets.read, []

    async def read_in_turns(key: str, **options: Any) -> AsyncIterator[bytes]:
        keys.append(key)
        await asyncio.sleep(0)  # others ask meanwhile
        async for chunk in read(key, **options):
            yield chunk

    monkeypatch.setattr(lab.assets, "read", read_in_turns)
    known = await asyncio.gather(*(lab.services.catalogues.known() for _ in range(5)))
    assert [[each.id for each in found] for found in known] == [[catalogue]] * 5
    assert len(keys) == 1


async def test_a_job_names_the_catalogue_that_admitted_it(lab: ApiLab, tmp_path: Path) -> None:
    unknown = post(lab, prompt="x").json()
    lab.clock.advance(6)
    catalogue = await join(lab, tmp_path)
    known = post(lab, prompt="x").json()
    named = [(await lab.records.spec(JobId(job["id"]))).judged_by for job in (unknown, known)]
    assert named == [None, catalogue]


async def test_a_dry_run_makes_no_job(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    answer = post(lab, "/generate?dry_run=true", prompt="a fox", seed=5)
    assert answer.status_code == 200
    body = answer.json()
    assert body["checked"] is True
    assert body["graph"]["25"]["inputs"]["noise_seed"] == 5
    assert body["graph"]["6"]["inputs"]["text"] == "a fox"
    assert await jobs_of(lab) == 0


@pytest.mark.parametrize("known", [True, False])
async def test_any_graph_runs(lab: ApiLab, tmp_path: Path, known: bool) -> None:
    if known:
        await join(lab, tmp_path)
    answer = post(lab, graph=GRAPH, overrides={"1.color": 7})
    assert answer.status_code == 202
    assert answer.json()["workflow"] == "graph"
    rehearsed = post(lab, "/generate?dry_run=1", graph=GRAPH, overrides={"1.color": 7}).json()
    assert rehearsed["graph"]["1"]["inputs"]["color"] == 7
    assert rehearsed["checked"] is known


async def test_a_graphs_family_is_what_it_loads(lab: ApiLab) -> None:
    loads = {"class_type": "UNETLoader", "inputs": {"unet_name": "sub/flux1-dev.safetensors"}}
    used = GRAPH | {"9": loads, "3": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}}}
    for graph, family in ((used, "flux1-dev"), (GRAPH | {"9": loads}, "any")):
        assert post(lab, "/generate?dry_run=1", graph=graph).json()["family"] == family


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"graph": {"nodes": [], "links": []}}, "graph", "Export (API)"),
        ({"graph": {}}, "graph", "at least one node"),
        ({"graph": []}, "graph", "is an object of nodes"),
        ({"graph": {"1": {"inputs": {}}}}, "graph.1", "class_type"),
        ({"graph": GRAPH, "overrides": {"1.colour": 1}}, "overrides.1.colour", "'color'"),
        ({"graph": GRAPH, "overrides": {"9.color": 1}}, "overrides.9.color", "no node '9'"),
        ({"graph": GRAPH, "overrides": {"1.color": ["9", 0]}}, "overrides.1.color", "no node"),
        ({"graph": GRAPH, "prompt": "x"}, "prompt", "overrides"),
        ({"graph": GRAPH, "workflow": "flux-dev"}, "workflow", "cannot stand beside"),
    ],
)
async def test_what_is_no_graph_is_explained(
    lab: ApiLab, body: dict[str, Any], field: str, message: str
) -> None:
    assert message in fields(refusal(post(lab, **body)))[field]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("name", "shown"), [("nul\0", "U+0000"), ("a\n", "U+000A"), ("\x9f", "U+009F")]
)
async def test_a_control_character_in_a_prefix_is_refused(
    lab: ApiLab, tmp_path: Path, known: bool, name: str, shown: str
) -> None:
    if known:
        await join(lab, tmp_path)
    problem = refusal(post(lab, graph=changed("3", filename_prefix=f"a/{name}")))
    assert list(fields(problem)) == ["graph.3.inputs.filename_prefix"]
    assert f"filename_prefix has {shown} at position" in problem["detail"]
    overridden = post(lab, graph=GRAPH, overrides={"3.filename_prefix": name})
    assert list(fields(refusal(overridden))) == ["overrides.3.filename_prefix"]
    assert await jobs_of(lab) == 0


@pytest.mark.parametrize("known", [True, False])
async def test_ids_of_nodes_may_be_anything(lab: ApiLab, tmp_path: Path, known: bool) -> None:
    if known:
        await join(lab, tmp_path)
    nodes = {
        "\u00b2": GRAPH["1"],
        "9" * MAX_ID_CHARS: {**GRAPH["2"], "inputs": {"image": ["\u00b2", 0]}},
    }
    save = {"images": ["9" * MAX_ID_CHARS, 0], "filename_prefix": "a"}
    answer = post(lab, graph={**nodes, " ": {**GRAPH["3"], "inputs": save}})
    assert answer.status_code == 202, answer.text


async def test_overrides_are_for_graphs(lab: ApiLab) -> None:
    problem = refusal(post(lab, prompt="x", overrides={"1.a": 1}), "invalid-parameters")
    assert list(fields(problem)) == ["overrides"]
    falsy: tuple[Any, ...] = (False, 0, "", [])
    for wrong in falsy:
        problem = refusal(post(lab, prompt="x", extra_data=wrong), "invalid-parameters")
        assert list(fields(problem)) == ["extra_data"]


@pytest.mark.parametrize(
    ("graph", "field", "kind"),
    [
        (changed("1", width=10**6), "graph.1.inputs.width", "value_bigger_than_max"),
        (changed("1", width=0), "graph.1.inputs.width", "value_smaller_than_min"),
        (changed("1", width="wide"), "graph.1.inputs.width", "invalid_input_type"),
        (changed("1", width=None), "graph.1.inputs.width", "invalid_input_type"),
        (
            GRAPH | {"1": {"class_type": "LoadImage", "inputs": {"image": None}}},
            "graph.1.inputs.image",
            "invalid_input_type",
        ),
        (changed("2", image=["1"]), "graph.2.inputs.image", "bad_linked_input"),
        (changed("2", image=["1", 1]), "graph.2.inputs.image", "bad_linked_input"),
        (changed("2", image=["1", -1]), "graph.2.inputs.image", "bad_linked_input"),
        (
            changed("3", images=["2", 0]) | {"2": GRAPH["1"] | {"class_type": "EmptyImge"}},
            "graph.2",
            "missing_node_type",
        ),
        (changed("2", image=["2", 0]), "graph.2", "dependency_cycle"),
        (
            GRAPH | {"2": {"class_type": "ImageInvert", "inputs": {}}},
            "graph.2.inputs.image",
            "required_input_missing",
        ),
        (
            GRAPH
            | {
                "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 0]}},
                "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}},
            },
            "graph.4.inputs.clip",
            "return_type_mismatch",
        ),
    ],
)
async def test_a_bad_graph_is_told_as_comfyui_tells_it(
    lab: ApiLab, tmp_path: Path, graph: dict[str, Any], field: str, kind: str
) -> None:
    await join(lab, tmp_path)
    problem = refusal(post(lab, graph=graph))
    assert field in fields(problem)
    node = field.split(".")[1]
    assert [error["type"] for error in problem["node_errors"][node]["errors"]] == [kind]


async def test_a_graph_without_an_output_is_refused(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    assert "SaveImage" in fields(refusal(post(lab, graph={"1": GRAPH["1"]})))["graph"]


async def test_unconnected_nodes_are_not_judged(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    loose = {"class_type": "ImageInvert", "inputs": {}}
    assert post(lab, graph=GRAPH | {"7": loose}).status_code == 202


async def test_a_bad_override_is_the_overrides_fault(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    problem = refusal(post(lab, graph=GRAPH, overrides={"1.width": -1}))
    assert list(fields(problem)) == ["overrides.1.width"]


async def test_a_huge_graph_is_too_large(lab: ApiLab) -> None:
    answer = post(lab, graph={str(n): GRAPH["1"] for n in range(1_001)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_a_very_deep_graph_is_no_trouble(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    chain = {
        str(n): {"class_type": "ImageInvert", "inputs": {"image": [str(n - 1), 0]}}
        for n in range(2, 990)
    }
    end = {"class_type": "SaveImage", "inputs": {"images": ["989", 0], "filename_prefix": "a"}}
    assert post(lab, graph={"1": GRAPH["1"]} | chain | {"end": end}).status_code == 202


async def test_names_of_models_in_a_graph_are_completed(lab: ApiLab, tmp_path: Path) -> None:
    await join(lab, tmp_path)
    graph = {
        "1": {"class_type": "VAELoader", "inputs": {"vae_name": "ae"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    body = post(lab, "/generate?dry_run=1", graph=graph).json()
    assert body["graph"]["1"]["inputs"]["vae_name"] == "ae.safetensors"
    assert body["warnings"] == ["1.vae_name: 'ae' was taken for 'ae.safetensors'"]


async def test_the_same_key_stands_for_one_graph(lab: ApiLab) -> None:
    headers = {"Idempotency-Key": "k"}
    first = lab.client.post("/generate", json={"graph": GRAPH}, headers=headers)
    again = lab.client.post("/generate", json={"graph": GRAPH}, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    other = lab.client.post("/generate", json={"graph": changed("1", color=5)}, headers=headers)
    assert other.json()["code"] == "idempotency-mismatch"
