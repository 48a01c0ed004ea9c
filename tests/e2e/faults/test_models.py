"""Models that a worker fetches: killed processes, lying and failing servers, files that are gone.

Each job ends with the right file or with a reason, and other jobs go on meanwhile.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.models.locks import write_lock
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from tests.e2e.faults.client import Json, until
from tests.e2e.faults.comfy import Simulated
from tests.e2e.faults.lab import Lab, new_name
from tests.e2e.faults.ownership import owned
from tests.model_hub import PAGE, Fault, ModelHub, hub_of, safetensors, sha256
from tests.processes import Process

HERE = Path(__file__).parent
CONTENTS = {name: safetensors(seed=name) for name in "abcdefgh"}
MODEL = """
[[models]]
file = "{name}.safetensors"
folder = "checkpoints"
url = "https://models.example/{name}"
source = "{source}"
"""


class Machine:
    """A machine with a simulated ComfyUI, a folder of models and workers that fetch into it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.models = lab, folder / "models"
        self.simulator: Simulated = lab.simulator("--models-dir", self.models)
        self._workers: list[Process] = []

    def worker(self, **env: str) -> Process:
        own = {
            "COMFYQ_MODEL_FETCH": "true",
            "COMFYQ_MODELS_DIR": str(self.models),
            "COMFYQ_MODEL_ALLOW": "127.0.0.1",
            **env,
        }
        worker = self.lab.worker(self.simulator, worker_id=new_name("fetcher"), env=own)
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        """Leave no worker to the next test: it has a folder of its own."""
        for worker in self._workers:
            worker.destroy()

    def file(self, name: str) -> Path:
        return self.models / "checkpoints" / f"{name}.safetensors"

    def provisioning(self, job_id: str) -> Json:
        shown = self.lab.client.until(
            job_id, lambda job: bool((job["provisioning"] or {}).get("bytes")), "being provisioned"
        )
        stage: Json = shown["provisioning"]
        assert shown["status"] == "queued"
        assert shown["waits_for"] == "its models, which its worker fetches"
        return stage

    def others_go_on(self) -> None:
        """Run a job that needs no model."""
        job = self.lab.client.submit("nap", seconds=0.01)
        self.lab.client.follower(job).wait_end()
        assert self.lab.client.show(job)["status"] == "completed"


@pytest.fixture(scope="module")
def hub() -> Iterator[ModelHub]:
    with hub_of() as hub:
        yield hub


@pytest.fixture(scope="module")
def lab(backend: str, hub: ModelHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A system whose workflows ``load-NAME`` each need one model, which is locked."""
    folder = tmp_path_factory.mktemp("models")
    workflows = folder / "workflows"
    shutil.copytree(HERE / "workflows" / "nap", workflows / "nap")
    for name, content in CONTENTS.items():
        own = workflows / f"load-{name}"
        shutil.copytree(HERE / "workflows" / "checkpoint", own)
        source = hub.put(name, content)
        for file in own.iterdir():
            text = file.read_text().replace("nobody-has-it", name)
            is_manifest = file.name == "manifest.toml"
            file.write_text(text + (MODEL.format(name=name, source=source) * is_manifest))
        locked = LockedModel(
            folder="checkpoints",
            file=f"{name}.safetensors",
            source=read_source(source),
            sha256=sha256(content),
            size=len(content),
        )
        write_lock(own, [locked])
    with owned(folder, backend=backend, workflows=workflows) as system:
        lab = system.lab(system.up())
        try:
            yield lab
        finally:
            lab.close()


@pytest.fixture
def machine(lab: Lab, hub: ModelHub, tmp_path: Path) -> Iterator[Machine]:
    hub.asked.clear()
    hub.faults.clear()
    hub.goes_on.clear()
    machine = Machine(lab, tmp_path)
    try:
        yield machine
    finally:
        hub.goes_on.set()
        machine.close()


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("a", 50_000),
        pytest.param("b", 0, marks=pytest.mark.verify),
        pytest.param("c", len(CONTENTS["c"]) - 1, marks=pytest.mark.verify),
    ],
)
def test_killed_in_mid_download(name: str, point: int, machine: Machine, hub: ModelHub) -> None:
    lab, doomed = machine.lab, machine.worker()
    until(lambda: lab.client.health()["workers"] != [], "a worker is there")
    hub.faults.append(Fault(cut=point, stall=True))
    job = lab.client.submit(f"load-{name}")
    if point:
        assert machine.provisioning(job)["total"] == len(CONTENTS[name])
    else:
        until(lambda: bool(hub.bytes_asked()), "the model is asked for")
    machine.others_go_on()
    doomed.kill()
    assert not machine.file(name).exists()
    second = machine.worker()
    story = lab.check(job, "completed")
    assert story["attempt"] == 2
    assert story["provisioning"] is None
    assert machine.file(name).read_bytes() == CONTENTS[name]
    second.stop()


@pytest.mark.verify
def test_what_cannot_be_had_is_told_and_what_may_pass_is_tried_again(
    machine: Machine, hub: ModelHub
) -> None:
    worker = machine.worker(COMFYQ_MODEL_TOKENS="")
    client = machine.lab.client
    cases: Mapping[str, tuple[Fault, str]] = {
        "d": (Fault(body=safetensors(seed="z")), "has the SHA-256"),
        "e": (Fault(body=PAGE, headers={"Content-Type": "text/html"}), "a web page"),
        "f": (Fault(status=401), "it wants a token"),
    }
    for name, (fault, why) in cases.items():
        hub.faults.append(fault)
        job = client.submit(f"load-{name}")
        client.follower(job).wait_end()
        failed = client.show(job)
        assert (failed["status"], failed["error_code"]) == ("failed", "model-refused"), failed
        assert why in failed["error"]
        assert not machine.file(name).exists()
        machine.others_go_on()
    hub.faults += [Fault(status=429, headers={"Retry-After": "1"}), Fault(cut=9_000)]
    job = client.submit("load-d")
    machine.others_go_on()
    machine.lab.check(job, "completed", ["succeeded"])
    machine.file("d").resolve().unlink()
    machine.lab.check(client.submit("load-d"), "completed", ["succeeded"])
    assert machine.file("d").read_bytes() == CONTENTS["d"], "it was deleted by hand, and came again"
    worker.stop()


@pytest.mark.verify
def test_two_workers_fetch_a_model_once(machine: Machine, hub: ModelHub) -> None:
    workers = [machine.worker(COMFYQ_DEPTH="1") for _ in range(2)]
    client = machine.lab.client
    hub.faults.append(Fault(cut=10_000, stall=True))
    jobs = [client.submit("load-g") for _ in range(2)]
    for job in jobs:
        machine.provisioning(job)
    machine.others_go_on()
    hub.goes_on.set()
    for job in jobs:
        machine.lab.check(job, "completed", ["succeeded"])
    ranges = [each.headers["Range"] for each in hub.bytes_asked()]
    assert ranges in ([None], [None, "bytes=10000-"])
    for worker in workers:
        worker.stop()


@pytest.mark.verify
def test_it_is_canceled_in_mid_download(machine: Machine, hub: ModelHub) -> None:
    worker, client = machine.worker(), machine.lab.client
    hub.faults.append(Fault(cut=10_000, stall=True))
    job = client.submit("load-h")
    machine.provisioning(job)
    client.cancel(job)
    machine.lab.check(job, "canceled", ["canceled"])
    again = client.submit("load-h")
    machine.lab.check(again, "completed", ["succeeded"])
    ranges = [each.headers["Range"] for each in hub.bytes_asked()]
    assert ranges == [None, "bytes=10000-"], "what had come was kept"
    assert worker.stop() == 0


@pytest.mark.verify
def test_two_workers_of_one_folder_leave_what_the_other_needs(
    machine: Machine, hub: ModelHub
) -> None:
    """The folder takes two models and a half. What is fetched for one worker's job is not deleted
    for the other's; what nobody uses is, and comes again."""
    most = str(len(CONTENTS["a"]) * 5 // 2)
    workers = [
        machine.worker(COMFYQ_DEPTH="1", COMFYQ_MODEL_STORE_MAX_BYTES=most) for _ in range(2)
    ]
    lab, client = machine.lab, machine.lab.client
    for name in "ab":
        lab.check(client.submit(f"load-{name}"), "completed", ["succeeded"])
    hub.asked.clear()
    hub.faults.append(Fault(cut=10_000, stall=True))
    waiting = client.submit("load-c")  # its room is what a took
    machine.provisioning(waiting)
    assert [machine.file(name).exists() for name in "abc"] == [False, True, False]
    after = client.submit("load-d")  # what c needs is not counted again: b goes for it
    lab.check(after, "completed", ["succeeded"])
    assert [machine.file(name).exists() for name in "abcd"] == [False, False, False, True]
    hub.goes_on.set()
    lab.check(waiting, "completed", ["succeeded"])
    lab.check(client.submit("load-a"), "completed", ["succeeded"])
    assert machine.file("a").read_bytes() == CONTENTS["a"]
    stored = [each for each in (machine.models / "by-sha256").glob("??/*") if each.is_file()]
    assert sum(each.stat().st_size for each in stored) <= int(most)
    for worker in workers:
        assert worker.stop() == 0


@pytest.mark.verify
def test_jobs_go_to_who_holds_their_model_and_to_others_when_it_dies(
    machine: Machine, hub: ModelHub, tmp_path: Path
) -> None:
    lab, client, patience = machine.lab, machine.lab.client, "600"
    holding = machine.worker(COMFYQ_AFFINITY_MAX_WAIT_S=patience)
    lab.check(client.submit("load-a"), "completed", ["succeeded"])
    until(lambda: any(each["models"] for each in client.workers()), "it tells what it holds")
    second = Machine(lab, tmp_path / "second")
    try:
        other = second.worker(COMFYQ_AFFINITY_MAX_WAIT_S=patience)
        until(lambda: len(client.workers()) == 2, "the other worker is there")
        for job in [client.submit("load-a") for _ in range(8)]:
            lab.check(job, "completed", ["succeeded"])
        lab.check(client.submit("load-b"), "completed", ["succeeded"])
        assert not second.file("a").exists(), "it left them to the worker that holds their model"
        holding.kill()
        lab.check(client.submit("load-a"), "completed", ["succeeded"])
        assert second.file("a").read_bytes() == CONTENTS["a"]
        assert other.stop() == 0
    finally:
        second.close()


@pytest.mark.verify
def test_models_come_while_the_gpu_works_and_who_is_killed_meanwhile_loses_nothing(
    machine: Machine, hub: ModelHub
) -> None:
    """With a depth of one, no second job is claimed: its model comes all the same."""
    lab, client, doomed = machine.lab, machine.lab.client, machine.worker(COMFYQ_DEPTH="1")
    hub.faults.append(Fault(cut=10_000, stall=True))
    works = client.submit("nap", seconds=12)
    client.running(works)
    waiting = client.submit("load-c")
    until(lambda: bool(hub.bytes_asked()), "the model is asked for")
    seen = client.show(waiting)
    assert (seen["status"], seen["attempt"], seen["provisioning"]) == ("queued", 0, None)
    assert client.show(works)["status"] == "running"
    doomed.kill()
    assert not machine.file("c").exists()
    second = machine.worker(COMFYQ_DEPTH="1")
    lab.check(waiting, "completed", ["succeeded"])
    assert machine.file("c").read_bytes() == CONTENTS["c"]
    assert [each.headers["Range"] for each in hub.bytes_asked()] == [None, None]
    lab.check(works, "completed")
    assert second.stop() == 0
