"""Findings about a deployment, and their remedies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.diagnosis import Finding, FindingState, is_sound
from comfyq.domain.errors import AssetsUnavailable, QueueUnavailable, TableUnavailable
from comfyq.ports.gauge import Depth
from comfyq.ports.table import Write
from comfyq.services.operations.diagnosis import Diagnosis
from comfyq.services.operations.findings import judge_clock, judge_dead, judge_kept, judge_workers
from comfyq.services.operations.probes import (
    NOBODY,
    FileProbe,
    Probe,
    QueueProbe,
    SocketProbe,
    TableProbe,
)
from comfyq.services.operations.remedies import remedy_for
from comfyq.testing.memory.assets import MemoryAssets
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

ENDPOINT = "https://api.example/v1"
DENIED = (
    "An error occurred (AccessDeniedException) when calling the PutItem operation: User: x is not "
    "authorized to perform: dynamodb:PutItem"
)


@dataclass
class FakeGauge:
    """A queue that refuses the calls whose names are in ``refuses``."""

    depth_is: Depth = field(default_factory=lambda: Depth(waiting=0, in_flight=0))
    refuses: Mapping[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    async def depth(self) -> Depth:
        self._call("depth")
        return self.depth_is

    async def try_receipts(self) -> None:
        self._call("try_receipts")

    async def try_receive(self) -> None:
        self._call("try_receive")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.refuses:
            raise QueueUnavailable(self.refuses[name])


class ReadOnlyTable(MemoryTable):
    async def write(self, *writes: Write, synced: bool = True) -> None:
        raise TableUnavailable(f"DynamoDB: {DENIED}")


class SecretiveAssets(MemoryAssets):
    """S3 for those who may not list the bucket."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Any:
        raise AssetsUnavailable(f"S3: {key}: An error occurred (AccessDenied) on GetObject")


@dataclass
class Lab:
    sample: Path
    table: MemoryTable = field(default_factory=lambda: MemoryTable(clock=ManualClock()))
    assets: MemoryAssets = field(default_factory=MemoryAssets)
    notifier: MemoryNotifier = field(default_factory=MemoryNotifier)
    jobs: FakeGauge = field(default_factory=FakeGauge)
    dead: FakeGauge = field(default_factory=FakeGauge)
    skew: timedelta = timedelta()

    async def findings(self) -> dict[str, Finding]:
        self.notifier.gone.add(NOBODY)
        probes: list[Probe] = [
            TableProbe(self.table, id="check-1"),
            QueueProbe(self.jobs, dead={"jobs": self.dead}),
            FileProbe(self.assets, sample=self.sample, id="check-1"),
            SocketProbe(self.notifier, endpoint=ENDPOINT),
        ]
        findings = await Diagnosis(probes=probes, skew=lambda: self.skew).run()
        return {finding.subject: finding for finding in findings}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    sample = tmp_path / "sample"
    sample.write_bytes(b"x")
    return Lab(sample)


async def test_all_is_well_and_nothing_is_left_behind(lab: Lab) -> None:
    findings = await lab.findings()
    assert {finding.state for finding in findings.values()} == {FindingState.OK}
    assert lab.jobs.calls == ["try_receipts", "depth", "try_receive"]
    assert await lab.table.get(("CHECK#check-1", "META")) is None
    assert lab.assets.stored == {}
    assert lab.notifier.posts == []


async def test_a_missing_right_is_named_with_its_remedy(lab: Lab) -> None:
    lab.table = ReadOnlyTable(clock=ManualClock())
    findings = await lab.findings()
    assert not is_sound(findings.values())
    wrong = [name for name, finding in findings.items() if finding.state is FindingState.WRONG]
    assert wrong == ["table: write", "table: delete"]
    assert "dynamodb:PutItem" in findings["table: write"].told
    assert "WorkerPolicyArn" in (findings["table: write"].remedy or "")


async def test_nothing_is_received_while_jobs_wait(lab: Lab) -> None:
    lab.jobs.depth_is = Depth(waiting=3, in_flight=1)
    findings = await lab.findings()
    assert "try_receive" not in lab.jobs.calls
    assert findings["queue: receive"].told.startswith("not tried")
    assert findings["queue"].state is FindingState.OK


async def test_jobs_that_nobody_takes_are_a_warning(lab: Lab) -> None:
    lab.jobs.depth_is = Depth(waiting=3, in_flight=0)
    assert (await lab.findings())["queue"].state is FindingState.WARNING


async def test_workers_need_no_right_to_ask_for_the_depth(lab: Lab) -> None:
    lab.jobs.refuses = {"depth": "SQS: An error occurred (AccessDenied)"}
    findings = await lab.findings()
    assert findings["queue"].state is FindingState.WARNING
    assert "queue: receive" not in findings
    assert is_sound(findings.values())


async def test_a_queue_that_is_not_there_is_wrong(lab: Lab) -> None:
    gone = "SQS: An error occurred (AWS.SimpleQueueService.NonExistentQueue)"
    lab.jobs.refuses = {"depth": gone, "try_receipts": gone}
    findings = await lab.findings()
    assert findings["queue"].state is findings["queue: hide, delete"].state is FindingState.WRONG
    assert "COMFYQ_QUEUE_URL" in (findings["queue"].remedy or "")


async def test_a_file_that_may_not_be_listed_is_no_fault(lab: Lab) -> None:
    lab.assets = SecretiveAssets()
    findings = (await lab.findings())["files: assets"]
    assert (findings.state, findings.told[:9]) == (FindingState.OK, "not known")


async def test_a_socket_api_that_does_not_answer_is_wrong(lab: Lab) -> None:
    lab.notifier.unavailable.add(ENDPOINT)
    assert (await lab.findings())["sockets: post"].state is FindingState.WRONG


async def test_dead_letters_and_clock_are_told(lab: Lab) -> None:
    lab.dead.depth_is = Depth(waiting=2, in_flight=0)
    lab.skew = timedelta(minutes=6)
    findings = await lab.findings()
    assert findings["dead letters: jobs"].state is FindingState.WARNING
    assert findings["clock: AWS"].state is FindingState.WRONG
    assert "360 s behind" in findings["clock: AWS"].told


@pytest.mark.parametrize(
    ("off_s", "state", "word"),
    [
        (0.4, FindingState.OK, "1 s"),
        (-29, FindingState.OK, "29 s"),
        (-31, FindingState.WARNING, "31 s ahead"),
        (299, FindingState.WARNING, "299 s behind"),
        (-300, FindingState.WRONG, "300 s ahead"),
    ],
)
def test_how_wrong_a_clock_may_be(off_s: float, state: FindingState, word: str) -> None:
    findings = judge_clock("clock", timedelta(seconds=off_s))
    assert findings.state is state
    assert word in findings.told


def worker(**fields: Any) -> dict[str, Any]:
    return {"id": "w", "comfyui_available": True, "draining": False, "version": "1"} | fields


def health(*workers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sound = {"status": "healthy", "reason": None, "version": "1", "simulated": False}
    return sound | {"workers": list(workers)} | fields


@pytest.mark.parametrize(
    ("health", "states"),
    [
        (health(worker()), [FindingState.OK]),
        (health(status="degraded", reason="no worker is connected"), [FindingState.WRONG]),
        (health(reason="scaled to zero"), [FindingState.OK]),
        (health(worker(), simulated=True), [FindingState.OK, FindingState.WARNING]),
        (
            health(worker(), worker(comfyui_available=False)),
            [FindingState.OK, FindingState.WARNING],
        ),
        (health(worker(version="0")), [FindingState.OK, FindingState.WARNING]),
    ],
)
def test_what_health_means(health: dict[str, Any], states: list[FindingState]) -> None:
    assert [finding.state for finding in judge_workers(health)] == states


def test_without_comfyui_the_remedy_is_to_start_it() -> None:
    away = worker(comfyui_available=False)
    lost = health(away, status="degraded", reason="it is away", comfyui_available=False)
    alone = health(status="degraded", reason="no worker", comfyui_available=False)
    assert (judge_workers(lost)[0].remedy or "").startswith("start ComfyUI")
    assert "start a worker" in (judge_workers(alone)[0].remedy or "")
    reason = "nothing can be stored: the disk is full; free space on the disk"
    full = health(worker(), status="degraded", reason=reason, comfyui_available=True)
    assert judge_workers(full)[0].told.endswith(reason)
    assert (judge_workers(full)[0].remedy or "").startswith("do what it says")


def test_workers_without_ids_are_counted() -> None:
    nameless = health(worker(id=None), worker(id=None, comfyui_available=False))
    assert judge_workers(nameless)[1].told == "does not answer: 1 of 2 workers"


def test_messages_that_were_given_up_are_counted() -> None:
    assert judge_kept(0, more=False).state is FindingState.OK
    assert judge_kept(100, more=True).told.startswith("100 or more")
    assert judge_dead("dead", Depth(waiting=0, in_flight=0)).state is FindingState.OK


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("DynamoDB: (AccessDeniedException) is not authorized", "WorkerPolicy"),
        ("SQS: (RequestTimeTooSkewed)", "clock"),
        ("S3: (InvalidAccessKeyId)", "credentials"),
        ("DynamoDB does not answer: Unable to locate credentials", "credentials"),
        ("DynamoDB: (ResourceNotFoundException)", "COMFYQ_TABLE"),
        ("SQS does not answer: Could not connect to the endpoint URL", "AWS_ENDPOINT_URL"),
        ("anything else", "--debug"),
    ],
)
def test_each_error_has_a_remedy(message: str, word: str) -> None:
    assert word in remedy_for(message)
