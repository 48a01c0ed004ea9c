"""The text of a lock: the same for the same models, and refused where it is not whole."""

import random
from dataclasses import replace

import pytest

from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.models.lock import LockedModel, read_lock, written_lock
from comfyq.domain.models.source import read_source
from tests.cells import Cells

FIRST = LockedModel(
    folder="loras",
    file='SDXL/quo"ted é.safetensors',
    source=read_source("civitai:7"),
    sha256="a" * 64,
    size=1,
)
SECOND = LockedModel(
    folder="vae",
    file="ae.safetensors",
    source=read_source("hf:owner/repo/ae.safetensors@main"),
    sha256="b" * 64,
    size=335_304_388,
    commit="c" * 40,
)
REFUSED = {  # what is put in the place of what in a lock, and what is told of it
    ('sha256 = "aaaa', 'sha256 = "AAAA'): "models.0.sha256: must be a SHA-256",
    ("size = 1\n", ""): "models.0.size: is missing",
    ("size = 1\n", "size = 0\n"): "models.0.size: must be a number of bytes",
    ("size = 1\n", "size = true\n"): "models.0.size: must be a number of bytes",
    ("size = 1\n", "sise = 1\n"): "models.0.sise: there is no such key",
    ("version = 1", "version = 2"): "has the version 2; this comfyq reads 1",
    ("version = 1", ""): "has the version None",
    ('folder = "loras"', 'folder = "../loras"'): "models.0.folder: must be a path below",
    ('source = "civitai:7"', 'source = "civitai:"'): "models.0.source: must be",
    ('commit = "cccc', 'commit = "main'): "models.1.commit: must be a commit",
    ("[[models]]", "[[model]]"): "more than `version`",
    ("[[models]]", "[[models]"): "is not TOML",
    ("[[models]]", "other = 1\n[[models]]"): "more than `version`",
}


def refusal(text: str) -> str:
    with pytest.raises(BadModelLock) as refused:
        read_lock(text)
    return str(refused.value)


def test_a_lock_is_read_as_it_was_written_whatever_the_order() -> None:
    many = [replace(SECOND, file=f"{n}.safetensors", size=n) for n in range(1, 30)]
    text = written_lock([*many, FIRST, SECOND])
    random.Random(1).shuffle(many)
    assert written_lock([SECOND, *many, FIRST]) == text
    assert written_lock(read_lock(text)) == text
    assert set(read_lock(text)) == {FIRST, SECOND, *many}


def test_one_model_more_is_a_table_more_and_nothing_else() -> None:
    before, after = written_lock([SECOND]), written_lock([FIRST, SECOND])
    lines = after.splitlines()
    assert [line for line in before.splitlines() if line not in lines] == []
    assert len(lines) - len(before.splitlines()) == 7


def test_a_lock_that_was_edited_says_where_it_is_wrong() -> None:
    text = written_lock([FIRST, SECOND])
    with Cells() as cells:
        for (old, new), told in REFUSED.items():
            assert old in text
            with cells.cell(new or old):
                assert told in refusal(text.replace(old, new, 1))
    assert "two entries" in refusal(text + "\n" + text.partition("\n\n")[2])
