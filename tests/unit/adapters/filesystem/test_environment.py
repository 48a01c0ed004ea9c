"""What a ComfyUI is installed with, as its directory or its image tells it."""

from pathlib import Path

from comfyq.adapters.filesystem.environment import described
from comfyq.domain.environment.description import environment_digest
from tests.git_server import commit, git


def test_custom_nodes_are_told_by_commit_or_by_their_code(tmp_path: Path) -> None:
    nodes = tmp_path / "custom_nodes"
    first = commit(nodes / "alpha", {"__init__.py": "1\n"})
    git(nodes / "alpha", "remote", "add", "origin", "https://user:secret@example.org/a/alpha")
    loose = commit(nodes / "beta", {"__init__.py": "2\n"})  # from nowhere
    (nodes / "one.py").write_text("3\n")
    for name in ("gone.disabled", "__pycache__", ".cache"):
        (nodes / name).mkdir()
    (nodes / "notes.md").write_text("no code\n")

    def lines() -> list[str]:
        return (described(file=None, comfyui_dir=tmp_path) or "").splitlines()

    beta, one, alpha = lines()
    assert alpha == f"node https://example.org/a/alpha {first}"
    assert [each.rpartition(" ")[0] for each in (beta, one)] == ["files beta", "files one.py"]
    assert loose not in beta
    git(nodes / "alpha", "pack-refs", "--all")
    assert lines() == [beta, one, alpha]
    git(nodes / "alpha", "checkout", "--quiet", "--detach")
    assert lines() == [beta, one, alpha]
    (nodes / "beta/picture.png").write_bytes(b"no code")
    assert lines() == [beta, one, alpha]
    (nodes / "beta/__init__.py").write_text("4\n")
    assert lines()[0] != beta
    assert lines()[1:] == [one, alpha]
    second = commit(nodes / "alpha", {"__init__.py": "5\n"})
    assert lines()[2] == alpha.replace(first, second)


def test_a_digest_is_of_comfyuis_version_and_the_description(tmp_path: Path) -> None:
    file = tmp_path / "environment.txt"
    file.write_text("python numpy==2.3.1\n")
    text = described(file=file, comfyui_dir=tmp_path)
    assert text == "python numpy==2.3.1\n"
    digest = environment_digest("0.3.75", text)
    assert len(digest) == 16
    others = [environment_digest("0.33.0", text), environment_digest("0.3.75", text + "x")]
    assert len({digest, *others}) == 3
    assert described(file=None, comfyui_dir=None) is None
    assert described(file=None, comfyui_dir=tmp_path) == ""  # a ComfyUI without custom nodes
