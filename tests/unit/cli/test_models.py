"""`comfyq models`: from a manifest's sources to files that ComfyUI finds."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from comfyq.adapters.filesystem.models.part import KEEP_BYTES
from comfyq.cli.app import app
from comfyq.domain.models.lock import read_lock, written_lock
from tests.model_hub import (
    COMMIT,
    LATER,
    TOKEN,
    Fault,
    ModelHub,
    hub_with_cdn,
    safetensors,
    sha256,
    wait_for,
)
from tests.paths import ROOT, WORKFLOWS

MODEL, LORA = safetensors(), safetensors(50_000, seed="b")
CHECKPOINT = "checkpoints/model.safetensors"


@dataclass
class Author:
    """Somebody with a workflow, a hub, and ComfyUI's folder."""

    hub: ModelHub
    home: Path

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "COMFYQ_WORKFLOWS_DIR": str(self.home / "workflows"),
            "COMFYQ_DATA_DIR": str(self.home / "data"),
            "COMFYUI_DIR": str(self.home),
            "COMFYQ_MODEL_HUB_HF": self.hub.url,
            "COMFYQ_MODEL_HUB_CIVITAI": self.hub.url,
            "COMFYQ_MODEL_ALLOW": "127.0.0.1",
            "COMFYQ_MODEL_TOKENS": f"{self.hub.authority}={TOKEN}",
            "COMFYQ_MIN_FREE_BYTES": "0",
        }

    @property
    def lock(self) -> str:
        return (self.home / "workflows/mine/models.lock").read_text()

    @property
    def model(self) -> Path:
        return self.home / "models" / CHECKPOINT

    def wants(self, **sources: str) -> None:
        """Write the workflow's manifest with these models."""
        folder = self.home / "workflows/mine"
        if not folder.exists():
            shutil.copytree(WORKFLOWS / "sd15", folder)
        text = (WORKFLOWS / "sd15/manifest.toml").read_text().partition("[[models]]")[0]
        for name, source in sources.items():
            text += f'[[models]]\nfile = "model.safetensors"\nfolder = "{name}"\n'
            text += f'url = "https://example.org"\nsource = "{source}"\n'
        (folder / "manifest.toml").write_text(text)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments], env=self.env)


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    with hub_with_cdn() as hub:
        yield Author(hub, tmp_path)


def test_from_a_source_to_a_file_that_comfyui_finds(author: Author) -> None:
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL))
    listed = author.run("list", "mine")
    assert listed.stdout.split() == ["not", "locked", CHECKPOINT]
    early = author.run("pull")
    assert (early.exit_code, "has a models.lock yet" in early.stderr) == (2, True)
    early = author.run("pull", "mine")
    assert early.exit_code == 2
    assert "is not locked; `comfyq models lock mine`" in early.stderr
    locked = author.run("lock", "mine")
    assert locked.exit_code == 0, locked.output
    [entry] = read_lock(author.lock)
    assert (entry.commit, entry.sha256, entry.size) == (COMMIT, sha256(MODEL), len(MODEL))
    pulled = author.run("pull")
    assert pulled.exit_code == 0, pulled.output
    assert author.model.read_bytes() == MODEL
    assert author.run("pull", "--json").stdout == '{"fetched": [], "linked": []}\n'
    [row] = json.loads(author.run("list", "--json").stdout)["models"]
    assert (row["state"], row["workflows"]) == ("ready", ["mine"])
    assert author.run("verify").stdout.split() == ["ok", CHECKPOINT]


def test_a_lock_changes_where_a_source_does(author: Author) -> None:
    hub = author.hub
    first = hub.repository("owner/repo", "x.safetensors", MODEL)
    author.wants(checkpoints=first, loras=hub.repository("owner/repo", "y.safetensors", LORA))
    assert author.run("lock").exit_code == 0
    before, asked = author.lock.splitlines(), len(hub.asked)
    again = author.run("lock", "--json")
    assert again.stdout == '{"changed": []}\n'
    assert len(hub.asked) == asked
    hub.resolved["/owner/repo/resolve/main/x.safetensors"] = (LATER, LORA)
    author.wants(checkpoints=first, loras=hub.version(7, {"z.safetensors": LORA}))
    assert author.run("lock").exit_code == 0
    changed = [line for line in author.lock.splitlines() if line not in before]
    assert changed == ['source = "civitai:7"']
    assert [each.path for each in hub.asked[asked:] if "resolve" in each.path] == []
    assert json.loads(author.run("lock", "--update", "--json").stdout) == {"changed": ["mine"]}
    assert LATER in author.lock
    author.wants(loras="hf:owner/repo/y.safetensors@main")
    assert author.run("lock").exit_code == 0
    assert "checkpoints" not in author.lock


def test_what_is_fetched_for_its_hash_is_kept_where_pull_looks(author: Author) -> None:
    author.wants(checkpoints=author.hub.put("x", MODEL))

    def kept() -> list[Path]:
        files = [each for each in author.home.rglob("*") if each.is_file()]
        return [each for each in files if each.read_bytes() == MODEL]

    nowhere = {**author.env, "COMFYUI_DIR": None}
    author.hub.faults.append(Fault(status=429, headers={"Retry-After": "3600"}))
    part = author.home / f"data/models-to-hash/by-sha256/parts/{'a' * 64}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(MODEL[:-1])
    assert CliRunner().invoke(app, ["models", "lock"], env=nowhere).exit_code == 3
    assert part.exists()  # what was cut off may go on
    locked = CliRunner().invoke(app, ["models", "lock"], env=nowhere)
    assert locked.exit_code == 0, locked.output
    assert "1 file was fetched for the hash and not kept" in locked.stderr
    assert "--models-dir" in locked.stderr
    [entry] = read_lock(author.lock)
    assert (entry.sha256, kept(), part.exists()) == (sha256(MODEL), [], False)
    again = author.run("lock", "--update")
    assert (again.exit_code, "not kept" in again.stderr, len(kept())) == (0, False, 1)
    before = len(author.hub.bytes_asked())
    assert author.run("pull").exit_code == 0
    assert (author.model.read_bytes(), len(author.hub.bytes_asked())) == (MODEL, before)


def test_one_that_fails_keeps_no_other_away(author: Author) -> None:
    good = author.hub.repository("owner/repo", "x.safetensors", MODEL)
    author.wants(loras="hf:owner/repo/none.safetensors@main", checkpoints=good)
    locked = author.run("lock")
    assert locked.exit_code == 2
    assert "loras/model.safetensors: hf:owner/repo/none.safetensors@main" in locked.stderr
    assert [entry.folder for entry in read_lock(author.lock)] == ["checkpoints"]
    pulled = author.run("pull")
    assert pulled.exit_code == 2  # the other is not locked
    assert author.model.read_bytes() == MODEL


def test_damage_is_found_and_mended(author: Author) -> None:
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL))
    for command in ("lock", "pull"):
        assert author.run(command).exit_code == 0
    stored = author.model.resolve()
    stored.chmod(0o644)
    stored.write_bytes(MODEL[:-1] + b"?")
    damaged = author.run("verify")
    assert (damaged.exit_code, damaged.stdout.split()) == (1, ["damaged", CHECKPOINT])
    assert author.run("verify", "--delete").exit_code == 1
    assert author.run("verify").stdout.split() == ["missing", CHECKPOINT]
    assert author.run("pull").exit_code == 0
    assert author.model.read_bytes() == MODEL
    assert author.run("verify").exit_code == 0


def test_what_no_lock_names_is_pruned_once_it_is_meant(author: Author) -> None:
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL))
    for command in ("lock", "pull"):
        assert author.run(command).exit_code == 0
    assert json.loads(author.run("prune", "--json").stdout) == {"deleted": [], "bytes": 0}
    other = author.home / "models/checkpoints/own.safetensors"
    other.write_bytes(b"somebody's own")
    author.wants(loras=author.hub.repository("owner/repo", "y.safetensors", LORA))
    for command in ("lock", "pull"):
        assert author.run(command).exit_code == 0
    refused = author.run("prune")  # nobody answers
    assert refused.exit_code == 1
    assert author.model.exists()
    lock = author.home / "workflows/mine/models.lock"
    text = lock.read_text()
    lock.write_text("broken")
    broken = author.run("prune", "--yes")
    assert (broken.exit_code, author.model.exists()) == (2, True)
    assert f"{lock}: is not TOML" in broken.stderr
    lock.write_text(text)
    pruned = author.run("prune", "--yes", "--json")
    assert json.loads(pruned.stdout) == {"deleted": [sha256(MODEL)], "bytes": len(MODEL)}
    assert not os.path.lexists(author.model)
    assert other.exists()
    again = json.loads(author.run("pull", "--json").stdout)
    assert again == {"fetched": [], "linked": []}
    (author.home / "models/loras/model.safetensors").unlink()
    again = json.loads(author.run("pull", "--json").stdout)
    assert again == {"fetched": [], "linked": ["loras/model.safetensors"]}
    assert (author.home / "models/loras/model.safetensors").read_bytes() == LORA


def test_what_is_locked_before_prune_is_answered_stays(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.wants(
        checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL),
        loras=author.hub.repository("owner/repo", "y.safetensors", LORA),
    )
    for command in ("lock", "pull"):
        assert author.run(command).exit_code == 0
    lock = author.home / "workflows/mine/models.lock"
    text = lock.read_text()
    lock.unlink()

    def confirm(*_: object, **__: object) -> None:
        models = read_lock(text)
        lock.write_text(written_lock([each for each in models if each.folder == "checkpoints"]))

    monkeypatch.setattr(typer, "confirm", confirm)
    pruned = author.run("prune")
    assert pruned.exit_code == 0, pruned.output
    assert pruned.stdout.splitlines()[-1].startswith("deleted: 1, ")
    assert "1 is left: a lock names it by now" in pruned.stderr
    assert author.model.read_bytes() == MODEL
    assert not os.path.lexists(author.home / "models/loras/model.safetensors")


def test_a_file_of_ones_own_is_used_and_never_pruned(author: Author) -> None:
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL))
    author.model.parent.mkdir(parents=True)
    author.model.write_bytes(MODEL)
    assert author.run("lock").exit_code == 0
    assert author.run("pull").stderr.split()[:2] == ["here", CHECKPOINT]
    assert author.run("verify").stdout.split() == ["ok", CHECKPOINT]
    author.wants()
    assert author.run("lock", "mine").exit_code == 0
    pruned = author.run("prune", "--yes")
    assert f"0 B  {sha256(MODEL)}  (it stays in ComfyUI's folder" in pruned.stdout
    assert (author.model.read_bytes(), author.model.is_symlink()) == (MODEL, False)
    assert author.run("prune", "--json").stdout == '{"deleted": [], "bytes": 0}\n'


def test_no_folder_and_no_workflow_are_told(author: Author, tmp_path: Path) -> None:
    author.wants()
    nowhere = CliRunner().invoke(app, ["models", "list"], env={**author.env, "COMFYUI_DIR": None})
    assert nowhere.exit_code == 2
    assert "--models-dir" in nowhere.stderr
    missing = author.run("pull", "mien")
    assert missing.exit_code == 2
    assert "did you mean 'mine'?" in missing.stderr


def test_a_token_is_nowhere_but_in_its_request(author: Author, tmp_path: Path) -> None:
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", MODEL))
    author.hub.gated.update(author.hub.resolved)
    ended = [author.run(*each) for each in (["lock"], ["pull"], ["list", "--json"], ["verify"])]
    assert [each.exit_code for each in ended] == [0, 0, 0, 0]
    assert [each for each in ended if TOKEN in each.output] == []
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in files if TOKEN.encode() in each.read_bytes()] == []
    author.hub.gated.add("/nowhere")
    wrong = {**author.env, "COMFYQ_MODEL_TOKENS": f"{TOKEN}"}
    refused = CliRunner().invoke(app, ["models", "list"], env=wrong)
    assert refused.exit_code == 2
    assert TOKEN not in refused.output
    assert "COMFYQ_MODEL_TOKENS: entry 1 is not host=token" in refused.stderr


@pytest.mark.parametrize(
    "point",
    [
        KEEP_BYTES + 2**20,
        pytest.param(0, marks=pytest.mark.verify),
        pytest.param(2**20, marks=pytest.mark.verify),
        pytest.param(KEEP_BYTES + 2**21 - 1, marks=pytest.mark.verify),
    ],
)
def test_a_process_that_is_killed_leaves_a_part_that_goes_on(author: Author, point: int) -> None:
    content = safetensors(KEEP_BYTES + 2**21)
    author.wants(checkpoints=author.hub.repository("owner/repo", "x.safetensors", content))
    assert author.run("lock").exit_code == 0
    cdn = author.hub.cdn
    assert cdn is not None
    cdn.faults.append(Fault(cut=point, stall=True))
    parts = author.home / "models/by-sha256/parts"
    process = subprocess.Popen(
        [sys.executable, "-m", "comfyq.cli", "models", "pull"],
        cwd=ROOT,
        env={**os.environ, **author.env},  # noqa: TID251 - what the process is started with
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(cdn.stalled.is_set)
        wait_for(lambda: sum(each.stat().st_size for each in parts.glob("*.part")) >= point)
        wait_for(lambda: point < KEEP_BYTES or list(parts.glob("*.json")))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not os.path.lexists(author.model)
    assert author.run("pull").exit_code == 0
    assert author.model.read_bytes() == content
    asked = cdn.bytes_asked()[-1].headers["Range"] or "bytes=0-"
    went_on = int(asked.removeprefix("bytes=").removesuffix("-"))
    assert (KEEP_BYTES <= went_on <= point) if point > KEEP_BYTES else went_on == 0
