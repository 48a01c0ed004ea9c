"""Manifests and graphs that authors get wrong are refused at start, with the line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.lines import json_line, toml_line
from comfyq.adapters.filesystem.workflows import FolderWorkflows, load_workflow
from comfyq.domain.errors import InvalidWorkflow, WorkflowNotFound
from comfyq.domain.job import Limits
from tests.paths import WORKFLOWS

SHIPPED = WORKFLOWS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED / "flux-dev", tmp_path / "flux-dev")
    return tmp_path / "flux-dev"


def refusal(folder: Path) -> str:
    with pytest.raises(InvalidWorkflow) as raised:
        load_workflow(folder)
    return str(raised.value).removeprefix(f"{folder}/")


def edit(file: Path, old: str, new: str) -> int:
    """Replace the only ``old``; the line where ``new`` begins."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    file.write_text(text.replace(old, new))
    return text.count("\n", 0, text.index(old)) + 1


def test_all_that_is_shipped_loads() -> None:
    workflows = FolderWorkflows(SHIPPED)
    assert "flux-dev" in workflows.names()
    flux = workflows.get("flux-dev")
    assert flux is workflows.get("flux-dev.json")
    assert flux.family == "flux1-dev"
    assert flux.limits == Limits(stall_s=600)
    assert {model.file for model in flux.models} == {
        "flux1-dev.safetensors",
        "t5xxl_fp16.safetensors",
        "clip_l.safetensors",
        "ae.safetensors",
    }
    assert all(model.url.startswith("https://") for model in flux.models)


@pytest.mark.parametrize("name", ["flux-dve", "", "flux-dev.json.json", "../flux-dev", "\ud800"])
def test_an_unknown_name_tells_the_ones_there_are(name: str) -> None:
    with pytest.raises(WorkflowNotFound, match="flux-dev"):
        FolderWorkflows(SHIPPED).get(name)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda each: edit(each / "manifest.toml", "[limits]", "[limits"), "manifest.toml:"),
        (lambda each: (each / "graph.json").unlink(), "graph.json: is missing"),
        (lambda each: (each / "graph.json").write_text("{"), "graph.json:1: is not JSON"),
        (lambda each: (each / "sample.json").write_bytes(b"\xff\xfe"), "sample.json"),
        (lambda each: each.rename(each.with_name("Not A Name")), "a workflow's name has"),
    ],
)
def test_a_broken_workflow_leaves_the_others(
    folder: Path, spoil: Callable[[Path], object], fault: str
) -> None:
    shutil.copytree(SHIPPED / "sdxl", folder.with_name("sdxl"))
    spoil(folder)
    workflows = FolderWorkflows(folder.parent)
    assert workflows.names() == ("sdxl",)
    [(name, said)] = workflows.faults().items()
    assert said.startswith(fault)
    assert str(folder.parent) not in said
    with pytest.raises(WorkflowNotFound, match="is broken: "):
        workflows.get(name)


def test_a_folder_without_workflows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkflow, match="no workflow"):
        FolderWorkflows(tmp_path)


REPOSITORY = 'repository = "https://example.org/owner/nodes"'
COMMIT = f'commit = "{"a" * 40}"'
BROKEN_NODES = [
    (f"[[nodes]]\n{REPOSITORY}", "nodes.0.commit: is missing"),
    (f'[[nodes]]\n{REPOSITORY}\ncommit = "main"', "nodes.0.commit: must be a whole commit"),
    (f'[[nodes]]\n{COMMIT}\nrepository = "git@example.org:a/b"', "nodes.0.repository: must be"),
    (f'[[nodes]]\n{COMMIT}\nrepository = "https://a@example.org/b"', "without credentials"),
    (f'[[nodes]]\n{COMMIT}\nrepository = "https://example.org/b;reboot"', "that need escapes"),
    (f'[[nodes]]\n{COMMIT}\nrepository = "http://example.org/b"', "must begin with https://"),
    (f"[[nodes]]\n{COMMIT}\n{REPOSITORY}\nclasses = []", "nodes.0.classes: must be a list"),
    (f"[[nodes]]\n{COMMIT}\n{REPOSITORY}\nclass = []", "did you mean 'classes'?"),
    (f"[[nodes]]\n{REPOSITORY}\n{COMMIT}\n" * 2, "nodes.1.repository: another entry has"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "FLUX.1 [dev]"', "title = 3", "must be a string"),
        ('title = "FLUX.1 [dev]"', 'titel = "x"', "did you mean 'title'?"),
        ('outputs = ["9"]', 'outputs = ["99"]', "the graph has no node '99'"),
        ("stall_s = 600", "stall_s = 0", "at least 1"),
        ("stall_s = 600", "stal_s = 600", "did you mean 'stall_s'?"),
        ("max = 150", "max = 0", "is 1, above max"),
        ('help = "ComfyUI\'s sampler."', "hlep = 3", "did you mean 'help'?"),
        ('default = "euler"', 'default = "eulr"', "did you mean 'euler'?"),
        ("default = 7.0", "default = 700.0", "the most is 100.0"),
        ("default = 20", "default = 20.5", "must be an integer"),
        ("default = 20", "required = 1", "must be true or false"),
        ('bind = "6.text"', 'bind = "66.text"', "the graph has no node '66'"),
        ('bind = "6.text"', 'bind = "6.txt"', "node 6 has no input 'txt'"),
        ('bind = "6.text"', 'bind = "6.clip"', "is fed by another node"),
        ('bind = "6.text"', 'bind = "6"', '"node.input"'),
        ('bind = "26.guidance"', 'bind = "17.steps"', "steps is bound to 17.steps as well"),
        ('model = "12.0"', 'model = "12.1"', "no node uses output 1 of 12"),
        ('model = "12.0"', 'model = "12"', '"node.output"'),
        ('kind = "loras"', 'kind = "lora"', "there is no such kind"),
        ('kind = "seed"', 'kind = "seed"\nchoices = ["a"]', "there is no such key"),
        ('note = "9.8 GB"', "note = 9.8", "must be a string"),
        ("ae.safetensors@main", "ae.safetensors", "models.3.source: lacks its revision"),
        ("hf:black-forest-labs/FLUX.1-dev/ae", "hg:x/ae", "hf:owner/repo/path@revision"),
        ('version = "1.0.0"', 'version = "1.0.0"\nwarm = 1', "must be true or false"),
        ('folder = "vae"', 'folder = "../vae"', "models.3.folder: must be a path below"),
        *(
            ("[presets.draft]", f"{nodes}\n[presets.draft]", message)
            for nodes, message in BROKEN_NODES
        ),
        ("[parameters.steps]", "[parameters.Steps]", "small letters"),
        ("[parameters.steps]", "[parameters.preset]", "a field of this name already"),
        ("[parameters.steps]", "[parameters.extra_data]", "a field of this name already"),
        ("[presets.draft]\nsteps = 10", "[presets.draft]\nstps = 10", "did you mean 'steps'?"),
        ("[presets.draft]\nsteps = 10", "[presets.draft]\nsteps = 0", "the least is 1"),
        ('source = "samplers"', 'source = "sampler"', "did you mean 'samplers'?"),
        ("[presets.draft]", "[negative_prompts]\na = 3\n\n[presets.draft]", "a table of strings"),
    ],
)
def test_a_broken_manifest_names_the_line(folder: Path, old: str, new: str, message: str) -> None:
    line = edit(folder / "manifest.toml", old, new)
    refused = refusal(folder)
    assert message in refused
    named = int(refused.split(":")[1])
    assert refused.startswith("manifest.toml:")
    # a complaint about what a key makes of its neighbours may name the neighbour
    assert abs(named - line) <= 4, refused


def test_a_workflow_that_needs_a_file_cannot_be_warm(tmp_path: Path) -> None:
    folder = tmp_path / "sd15-img2img"
    shutil.copytree(SHIPPED / "sd15-img2img", folder)
    line = edit(folder / "manifest.toml", 'version = "1.0.0"', 'warm = true\nversion = "1.0.0"')
    assert refusal(folder).startswith(f"manifest.toml:{line}: warm: cannot be true: a run needs")


def test_the_exact_line_is_named(folder: Path) -> None:
    line = edit(folder / "manifest.toml", 'bind = "25.noise_seed"', 'bind = "25.seed"')
    assert refusal(folder).startswith(f"manifest.toml:{line}: parameters.seed.bind: ")


def test_the_second_of_an_array_of_tables_is_found(folder: Path) -> None:
    line = edit(folder / "manifest.toml", 'note = "9.8 GB"', "note = 9.8")
    assert refusal(folder).startswith(f"manifest.toml:{line}: models.1.note: ")


def test_a_missing_key_names_the_table(folder: Path) -> None:
    line = edit(folder / "manifest.toml", '[parameters.seed]\nkind = "seed"', "[parameters.seed]")
    assert refusal(folder).startswith(f"manifest.toml:{line}: parameters.seed.kind: is missing")


def test_a_syntax_error_names_the_line(folder: Path) -> None:
    line = edit(folder / "manifest.toml", "default = 7.0", "default = = 7.0")
    assert refusal(folder).startswith(f"manifest.toml:{line}: is not TOML: ")


def test_an_unfinished_manifest_names_its_last_line(folder: Path) -> None:
    (folder / "manifest.toml").write_text('title = "x"\n[parameters')
    assert refusal(folder).startswith("manifest.toml:2: is not TOML")


def test_a_graph_that_is_not_json_names_the_line(folder: Path) -> None:
    line = edit(folder / "graph.json", '"class_type": "VAEDecode",', '"class_type": "VAEDecode"')
    assert refusal(folder).startswith(f"graph.json:{line + 1}: is not JSON")


def test_a_dangling_reference_names_the_node(folder: Path) -> None:
    edit(folder / "graph.json", '"vae": ["10", 0]', '"vae": ["77", 0]')
    refused = refusal(folder)
    assert "node 8: input `vae` refers to node 77" in refused
    assert refused.startswith(f"graph.json:{json_line((folder / 'graph.json').read_text(), '8')}:")


def test_an_editor_export_is_refused_with_an_explanation(folder: Path) -> None:
    (folder / "graph.json").write_text(json.dumps({"nodes": [], "links": []}))
    assert "Export (API)" in refusal(folder)


def test_a_sample_that_its_own_workflow_refuses_names_the_line(folder: Path) -> None:
    line = edit(folder / "sample.json", '"steps": 20', '"steps": 0')
    assert refusal(folder).startswith(f"sample.json:{line}: steps: ")


@pytest.mark.parametrize("name", ["manifest.toml", "graph.json", "sample.json"])
def test_a_missing_or_binary_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe\x00")
    assert refusal(folder).startswith(f"{name}: is not UTF-8")
    (folder / name).unlink()
    assert refusal(folder) == f"{name}: is missing"


def test_lines_of_keys() -> None:
    text = 'a = 1\n[b]  # table\n"c d" = 2\ne.f = 3\n[[g]]\nx = 1\n[[g]]\nx = 2\n'
    assert toml_line(text, ("a",)) == 1
    assert toml_line(text, ("b", "c d")) == 3
    assert toml_line(text, ("b", "e", "f")) == 4
    assert toml_line(text, ("b", "missing")) == 2
    assert toml_line(text, ("g", "1", "x")) == 8
    assert toml_line(text, ("nowhere",)) == 1
