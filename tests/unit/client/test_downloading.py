"""Downloads that break, again and again."""

from itertools import repeat
from pathlib import Path

import pytest
from blake3 import blake3

from comfyq.client.errors import BrokenDownload, NotReached
from comfyq.client.flows.downloading import FRUITLESS, downloaded
from tests.flow_script import Script, Scripted, answered

CONTENT = b"0123456789"
OUTPUT = {
    "index": 0,
    "filename": "a.png",
    "size": len(CONTENT),
    "blake3": blake3(CONTENT).hexdigest(),
    "url": "http://server/picture",
}
JOB = {"id": "a", "status": "completed", "outputs": [OUTPUT]}
PARTIAL = 206


def broken(*chunks: bytes, status: int = PARTIAL) -> Scripted:
    return answered(status), [*chunks, NotReached("the connection was dropped")]


def fetched(script: Script, folder: Path) -> bytes:
    sender = script.sender(give_up_s=90)
    flow = downloaded(sender, JOB, folder, None, sender.deadline(None))
    [file] = script.run(lambda: flow)
    return file.read_bytes()


def test_a_server_that_takes_and_drops_while_it_starts_is_waited_for(tmp_path: Path) -> None:
    drops = FRUITLESS + 5
    whole = answered(PARTIAL), [CONTENT[4:]]
    script = Script([broken(CONTENT[:4], status=200), *[broken()] * drops, whole])
    assert fetched(script, tmp_path) == CONTENT
    assert {each.headers.get("Range") for each in script.requests} == {None, "bytes=4-"}
    assert len(script.pauses) == 1 + drops, "one before each try"
    assert script.pauses[0] < script.pauses[1] < script.pauses[2]


def test_one_that_drops_for_ever_is_given_up(tmp_path: Path) -> None:
    script = Script(repeat(broken()))
    with pytest.raises(BrokenDownload, match="broke off"):
        fetched(script, tmp_path)
    assert 90 <= sum(script.pauses) < 100
    assert list(tmp_path.iterdir()) == []


def test_what_comes_in_pieces_is_not_given_up(tmp_path: Path) -> None:
    """However long it takes: each try brings something."""
    pieces = [broken(CONTENT[at : at + 1]) for at in range(len(CONTENT) - 1)]
    last = answered(PARTIAL), [CONTENT[-1:]]
    script = Script([*pieces, last])
    assert fetched(script, tmp_path) == CONTENT
    assert max(script.pauses) < 1, "a try that brought something is followed by a short pause"
