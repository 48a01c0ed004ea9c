"""`comfyq images`: from a manifest's custom nodes to the recipe of a worker's image."""

import hashlib
import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from comfyq.adapters.filesystem.models.locks import write_lock
from comfyq.cli.app import app
from comfyq.domain.environment.lock import read_lock
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from tests.git_server import commit, git, served
from tests.paths import WORKFLOWS

NOBODY = "0" * 40
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@dataclass
class Author:
    """Somebody with workflows, and repositories of custom nodes on a server."""

    url: str
    home: Path

    def publishes(self, name: str, **files: str) -> str:
        files = {file.replace("_txt", ".txt"): text for file, text in files.items()}
        return commit(self.home / "repositories" / name, {"__init__.py": f"# {name}\n", **files})

    def wants(self, workflow: str, *nodes: str) -> None:
        folder = self.home / "workflows" / workflow
        if not folder.exists():
            shutil.copytree(WORKFLOWS / "sd15", folder)
        text = (WORKFLOWS / "sd15/manifest.toml").read_text()
        (folder / "manifest.toml").write_text(text + "".join(nodes))

    def nodes(self, name: str, commit_id: str) -> str:
        return f'[[nodes]]\nrepository = "{self.url}/{name}"\ncommit = "{commit_id}"\n'

    def lock_of(self, workflow: str) -> str:
        return (self.home / "workflows" / workflow / "nodes.lock").read_text()

    def run(self, *arguments: str) -> Result:
        env = {"COMFYQ_WORKFLOWS_DIR": str(self.home / "workflows")}
        return CliRunner().invoke(app, ["images", *arguments], env=env)


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    with served(tmp_path / "repositories") as url:
        yield Author(url, tmp_path)


def test_a_lock_has_the_hash_of_the_commits_files_and_the_recipe_pins_both(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = author.publishes("ComfyUI-Alpha", requirements_txt="numpy\n")
    beta = author.publishes("beta")
    author.publishes("ComfyUI-Alpha", requirements_txt="numpy<2\n")  # which nobody asked for
    author.wants("one", author.nodes("beta", beta), author.nodes("ComfyUI-Alpha", first))
    author.wants("two", author.nodes("ComfyUI-Alpha", first))
    author.wants("three")
    early = author.run("dockerfile")
    assert (early.exit_code, "`comfyq images lock one two`" in early.stderr) == (2, True)
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", "/nowhere")  # as where git calls one
        locked = author.run("lock", "--json")
    assert locked.exit_code == 0, locked.output
    assert json.loads(locked.stdout) == {"changed": ["one", "two"]}
    alpha, second = read_lock(author.lock_of("one"))
    folder = author.home / "repositories/ComfyUI-Alpha"
    archive = subprocess.run(
        ["git", "-C", str(folder), "archive", "--format=tar", first],
        check=True,
        capture_output=True,
    ).stdout
    assert (alpha.commit, alpha.sha256) == (first, hashlib.sha256(archive).hexdigest())
    assert (second.folder, second.commit) == ("beta", beta)
    text = author.run("dockerfile").stdout
    assert author.run("dockerfile", "two", "one").stdout == text
    steps = [
        "FROM ${BASE}",
        ">>/opt/comfyq/extra_model_paths.yaml",
        f"git remote add origin {alpha.repository}",
        f"git fetch --quiet --depth 1 origin {first}",
        alpha.sha256,
        "--requirement /opt/comfyq/custom_nodes/ComfyUI-Alpha/requirements.txt",
        second.sha256,
        f"'node {alpha.repository} {first}'",
        "ENV COMFYQ_ENVIRONMENT_FILE=",
    ]
    places = [text.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert text.count(f"git remote add origin {alpha.repository}\n".rstrip()) == 1
    assert author.run("lock", "--json").stdout == '{"changed": []}\n'


def test_the_recipes_own_commands_take_the_locked_files_and_no_others(author: Author) -> None:
    made = author.publishes("ComfyUI-Alpha")
    author.wants("one", author.nodes("ComfyUI-Alpha", made))
    assert author.run("lock").exit_code == 0
    text = author.run("dockerfile").stdout
    fetch = text.partition("\nRUN git init")[2].partition("\nRUN ")[0]
    target = author.home / "built"
    paths = text.partition("RUN install ")[2].partition("\n\n")[0]
    script = f"install {paths}\ngit init{fetch}"
    script = script.replace("/opt/comfyq", str(target))
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)
    assert (target / "custom_nodes/ComfyUI-Alpha/__init__.py").read_text() == "# ComfyUI-Alpha\n"
    named = yaml.safe_load((target / "extra_model_paths.yaml").read_text())["comfyq_nodes"]
    assert named == {"base_path": str(target), "custom_nodes": "custom_nodes"}
    shutil.rmtree(target)
    [entry] = read_lock(author.lock_of("one"))
    wrong = script.replace(entry.sha256, "0" * 64)
    assert subprocess.run(["sh", "-ec", wrong], capture_output=True).returncode != 0
    assert not (target / "custom_nodes/ComfyUI-Alpha/__init__.py").exists()


def test_what_cannot_be_locked_is_told_and_the_others_are_locked(author: Author) -> None:
    made = author.publishes("alpha")
    nodes = [author.nodes("alpha", made), author.nodes("missing", made)]
    author.wants("one", *nodes)
    author.wants("two", author.nodes("alpha", NOBODY))
    locked = author.run("lock")
    assert locked.exit_code == 2
    assert f"{author.url}/missing does not exist, or wants credentials" in locked.stderr
    assert f"{author.url}/alpha has no commit {NOBODY}" in locked.stderr
    assert [each.commit for each in read_lock(author.lock_of("one"))] == [made]
    clash = author.run("dockerfile")
    assert (clash.exit_code, "one folder, custom_nodes/alpha" in clash.stderr) == (2, True)
    exported = author.run("export")
    assert (exported.exit_code, exported.stderr.endswith(clash.stderr)) == (2, True)
    away = author.nodes("alpha", made).replace(author.url, "http://127.0.0.1:9")
    author.wants("two", away)
    assert author.run("lock", "two").exit_code == 3
    (author.home / "workflows/one/nodes.lock").write_text("version = 1\nnode = 1\n")
    broken = author.run("dockerfile")
    assert "nodes.lock: has more than `version` and a list of tables" in broken.stderr
    assert git(author.home / "repositories/alpha", "rev-parse", "HEAD") == made


def test_comfy_clis_lock_is_written_and_read(author: Author) -> None:
    made = author.publishes("alpha")
    author.wants("one", author.nodes("alpha", made))
    assert author.run("lock").exit_code == 0
    source = read_source("hf:owner/repo/sd/x.safetensors@main")
    folder = author.home / "workflows/one"
    manifest = (folder / "manifest.toml").read_text().partition("[[models]]")[0]
    tables = '[[models]]\nfile = "a/x.safetensors"\nfolder = "checkpoints"\nurl = "https://e.org"\n'
    tables += f'source = "{source}"\n' + author.nodes("alpha", made)
    (folder / "manifest.toml").write_text(manifest + tables)
    locked = LockedModel(
        folder="checkpoints",
        file="a/x.safetensors",
        source=source,
        sha256="ab" * 32,
        size=5,
        commit="c" * 40,
    )
    write_lock(folder, [locked])
    text = author.run("export").stdout
    url = f"https://huggingface.co/owner/repo/resolve/{'c' * 40}/sd/x.safetensors"
    assert yaml.safe_load(text) == {
        "basic": {},
        "models": [
            {
                "model": "x.safetensors",
                "url": url,
                "paths": [{"path": "models/checkpoints/a/x.safetensors"}],
                "hashes": [{"hash": "ab" * 32, "type": "SHA256"}],
                "type": "checkpoints",
            }
        ],
        "custom_nodes": {
            "file_custom_nodes": [],
            "git_custom_nodes": {f"{author.url}/alpha": {"disabled": False, "hash": made}},
        },
    }
    file = author.home / "comfy-lock.yaml"
    file.write_text(text)
    read = author.run("import", str(file))
    assert read.exit_code == 0, read.output
    assert tomllib.loads(read.stdout) == {
        "models": [
            {
                "file": "a/x.safetensors",
                "folder": "checkpoints",
                "url": url,
                "source": f"hf:owner/repo/sd/x.safetensors@{'c' * 40}",
            }
        ],
        "nodes": [{"repository": f"{author.url}/alpha", "commit": made}],
    }
    (folder / "manifest.toml").write_text(manifest + read.stdout)
    assert author.run("export", "one").exit_code == 0, "it is a manifest's"


def test_what_a_manifest_cannot_say_of_comfy_clis_lock_is_told(author: Author) -> None:
    """comfy-cli itself writes `basics`, one hash, and no custom nodes."""
    file = author.home / "comfy-lock.yaml"
    url = "https://civitai.com/api/download/models/42?type=Model"
    known = {"model": "l", "url": url, "paths": [{"path": "models/loras/l.safetensors"}]}
    away = {"model": "w", "url": url, "paths": [{"path": "/mnt/w.safetensors"}], "hash": None}
    document = {
        "basics": {"name": None, "updated_at": "2026-01-01T00:00:00"},
        "models": [known, away, {"model": "v", "url": "", "paths": []}],
        "custom_nodes": [],
    }
    file.write_text(yaml.safe_dump(document))
    read = author.run("import", str(file))
    assert read.exit_code == 2
    [model] = tomllib.loads(read.stdout)["models"]
    assert (model["source"], model["file"]) == ("civitai:42", "l.safetensors")
    assert "left out: model w: is at '/mnt/w.safetensors', which is not below" in read.stderr
    assert "left out: model v: has no url" in read.stderr
    nodes = {"git_custom_nodes": {"https://e.org/a/b": {"hash": "main"}, "https://e.org/c": None}}
    file.write_text(yaml.safe_dump({"custom_nodes": {**nodes, "comfyui": "abc"}}))
    read = author.run("import", str(file), "--json")
    told = json.loads(read.stdout)
    assert (told["manifest"], len(told["left_out"])) == ("", 3)
    file.write_text(f"{BOMB}models: [*a9, {{model: *a9}}]\ncustom_nodes: {{comfyui: *a9}}\n")
    swollen = author.run("import", str(file), "--json")
    assert len(json.loads(swollen.stdout)["left_out"]) == 3
    for wrong, message in (
        ("- 1", "has neither `models`"),
        ("a: [", "comfy-lock.yaml: while"),
        ("custom_nodes: {git_custom_nodes: [a]}", "git_custom_nodes: must be a table"),
        ("custom_nodes: {cnr_custom_nodes: [a]}", "cnr_custom_nodes: must be a table"),
        ("custom_nodes: {file_custom_nodes: 5}", "file_custom_nodes: must be a list"),
    ):
        file.write_text(wrong)
        refused = author.run("import", str(file))
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
