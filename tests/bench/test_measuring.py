"""The figures of ``make bench`` are only as good as what measures them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.marked_part import rewrite
from tests.bench.client import Job, ended
from tests.bench.cpu import cpu_s, thread_times
from tests.bench.cpu_profile import cause, place, weighed
from tests.bench.keys import KEYED, LIMITED, OPEN, Taken, table
from tests.bench.killed import COMFYQ, KEEPING, PROXY, Story
from tests.bench.report import MEASUREMENTS
from tests.bench.rounds import Side, in_turns
from tests.bench.sampler import LIBRARY, Sample, module_of, read_samples
from tests.bench.series import Series
from tests.bench.side_by_side import Figures, wanted
from tests.bench.sockets.delays import delays_ms, read_posts
from tests.bench.work import flux, sleeping, trivial
from tests.paths import ROOT

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


class Scripted:
    """A server whose jobs have ended when they are asked about for the given time."""

    def __init__(self, asked_until_end: Sequence[int] = ()) -> None:
        self.left = dict(enumerate(asked_until_end))
        self.followed: list[str] = []

    async def submit(self, job: Job) -> str:
        raise NotImplementedError

    async def image(self, job: Job) -> bytes:
        raise NotImplementedError

    async def follow(self, job_id: str) -> None:
        self.followed.append(job_id)

    async def has_ended(self, job_id: str) -> bool:
        self.left[int(job_id)] -= 1
        return self.left[int(job_id)] <= 0


@pytest.mark.anyio
async def test_every_round_begins_with_another_side() -> None:
    sides = [Side(name, Scripted(), "graph") for name in "abc"]
    order = []

    async def measure(side: Side) -> int:
        order.append(side.name)
        return len(order)

    results = await in_turns(sides, 3, measure)
    assert "".join(order) == "abcbcacab"
    assert results == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


@pytest.mark.anyio
async def test_a_burst_has_ended_when_its_last_job_has() -> None:
    in_order, out_of_order = Scripted([1, 1, 0]), Scripted([1, 3, 0])
    await ended(in_order, ["0", "1", "2"])
    await ended(out_of_order, ["0", "1", "2"])
    assert in_order.followed == out_of_order.followed == ["2"]
    assert in_order.left == out_of_order.left == {0: 0, 1: 0, 2: 0}


def test_no_two_jobs_are_the_same_since_comfyui_answers_from_its_cache() -> None:
    for kind in (trivial, sleeping(0.2), flux):
        one, other = kind(), kind()
        assert one.graph != other.graph
        assert one.request != other.request


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_time_of_children_counts() -> None:
    before = cpu_s(os.getpid())
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert cpu_s(os.getpid()) - before >= 0.28  # it was waited for
    waiting = [sys.executable, "-c", f"{BUSY}print(flush=True)\ninput()"]
    with subprocess.Popen(
        waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert cpu_s(os.getpid()) - before >= 0.56  # it runs
        assert cpu_s(child.pid) < cpu_s(os.getpid())
        assert thread_times(child.pid)[child.pid] >= 0.28
        child.communicate("\n")


def test_stacks_are_read_by_module() -> None:
    stack = (
        "thread (17): MainThread;_run_code (<frozen runpy>:88);"
        f"main ({LIBRARY}/comfyq/local/loop.py:16);run (/p/lib/site-packages/six.py:3);"
        "Job.__init__ (<string>:3) 5"
    )
    [sample, empty] = read_samples([stack, "thread (0x1F) 1"])
    assert sample == Sample(
        17, "MainThread", ["python: <frozen runpy>", "comfyq.local.loop", "six"], 5
    )
    assert (place(sample), cause(sample)) == ("six", "comfyq.local.loop")
    assert (empty.thread, place(empty)) == (31, "no Python code")
    assert cause(empty) == "none of ours: no Python code"
    with pytest.raises(ValueError, match="nonsense"):
        list(read_samples(["nonsense"]))


def test_files_are_named_by_whose_they_are() -> None:
    assert module_of(subprocess.__file__) == "python: subprocess"
    assert module_of(sys.modules["asyncio"].__file__ or "") == "python: asyncio"
    assert module_of(pytest.__file__) == "pytest"
    assert module_of(__file__) == "test_measuring"


def test_a_threads_time_is_shared_out_by_its_samples() -> None:
    samples = [Sample(1, "a", ["x"], 30), Sample(1, "a", ["y"], 10), Sample(2, "b", ["z"], 1)]
    shares = weighed(samples, {1: 2.0, 2: 1.0, 3: 1.0})
    assert [(sample.thread, share) for sample, share in shares] == [
        (3, 0.25),
        (1, 0.375),
        (1, 0.125),
        (2, 0.25),
    ]


def test_what_keys_cost_is_told_beside_a_server_without_them() -> None:
    free = Taken([0.001, 0.002, 0.003], 0.006) + Taken([], 0.0)
    keyed, limited = Taken([0.004] * 3, 0.009), Taken([0.001] * 2, 0.002)
    lines = table({OPEN: (free, free), KEYED: (keyed, free), LIMITED: (limited, free)})
    assert f"| POST /generate, {KEYED} | 4.0 / 4.0 | 2.00 | 3.00 | 1.50 |" in lines
    assert f"| POST /generate, {LIMITED} | 1.0 / 1.0 | 0.50 | 1.00 | 0.50 |" in lines
    assert f"| GET /generate/{{id}}, {KEYED} | 2.0 / 3.0 | 1.00 | 2.00 | 1.00 |" in lines


def test_the_delay_of_a_frame_begins_with_the_first_post_of_its_state(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('["a", 3, 0.25, 10.0]\n["a", 3, 0.25, 10.5]\n')
    (tmp_path / "2.jsonl").write_text('["a", 3, 0.5, 11.0]\n["a", 4, 1.0, 12.0]\n')
    posts = read_posts(tmp_path)

    def frame(seq: int, progress: float, status: str = "running") -> str:
        told = {"kind": "progress", "job_id": "a", "seq": seq, "progress": progress}
        return json.dumps(told | {"status": status})

    frames = [
        (10.2, 0, frame(3, 0.25)),  # shows the job as it is
        (11.1, 0, frame(3, 0.5)),
        (11.2, 1, frame(3, 0.5)),  # likewise
        (11.9, 0, frame(3, 0.5)),  # again
        (11.95, 0, '{"kind": "preview"}'),
        (12.5, 1, frame(4, 1.0, "completed")),
        (12.6, 0, frame(5, 1.0)),  # of a state that nobody has posted
    ]
    assert [(at, round(delay)) for at, delay in delays_ms(posts, frames)] == [
        (11.1, 100),
        (12.5, 500),
    ]


def test_what_was_told_of_a_job_is_false_if_it_was_told_to_be_gone() -> None:
    def told(*states: str) -> Story:
        story = Story("ComfyUI", PROXY, "ran")
        for state in states:
            story.tell(state)
        return story

    right = told("running", "running", "503", "queued", "succeeded")
    assert (str(right), right.is_false) == ("running → 503 → queued → succeeded", False)
    assert right.is_over
    for false in (told("running", "expired", "succeeded"), told("succeeded", "404")):
        assert false.is_false
        assert false.is_over
    assert str(told("running", "expired")) == "running → **expired**"
    assert str(told("running")) == "**running**, for ever"
    assert not told("running", "503").is_over


def test_what_is_wanted_beside_the_proxy_is_told_where_it_does_not_hold() -> None:
    def measured(ms: float, reads_per_s: float, false_reads: int = 0) -> Figures:
        took = Series([ms / 1e3] * 3)
        return Figures(took, took, reads_per_s=reads_per_s, false_reads=false_reads)

    figures = {
        PROXY: measured(3.0, 400.0, 2),
        KEEPING: measured(5.0, 500.0),
        COMFYQ: measured(9.0, 450.0),
    }
    lost = [Story("both", PROXY, "ran", ["404"]), Story("both", COMFYQ, "ran", ["succeeded"])]
    rows = wanted(figures, lost).splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[2:4]] for row in rows]
    assert cells == [
        ["**3.00, does not hold**", "1.80"],
        ["**+6.0, does not hold**", "+4.0"],
        ["1.12", "**0.90, does not hold**"],
        ["0, beside 3", "0, beside 0"],
    ]


def test_the_document_has_a_part_for_every_measurement(tmp_path: Path) -> None:
    document = Path(shutil.copy(ROOT / "docs" / "performance.md", tmp_path))
    for module in MEASUREMENTS:
        rewrite(document, module, "measured")
    assert document.read_text("utf-8").count("\nmeasured\n") == len(MEASUREMENTS)
