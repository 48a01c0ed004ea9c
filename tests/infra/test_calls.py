"""The rights that each function and the worker need, overheard while they run.

``infra/checks/calls.json`` is what was overheard when it was last recorded, and what the template's
roles are compared with. After a change that needs other rights:
``COMFYQ_RECORD=1 pytest tests/infra/test_calls.py``.
"""

import os
import re
from pathlib import Path

import pytest

from comfyq import records
from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.local.emulator import Emulator
from infra.checks.calls import RECORD, Right, record, recorded
from tests.infra.deployment import Deployment
from tests.infra.loops import closed_loops
from tests.infra.story import play

pytestmark = pytest.mark.timeout(180)

SORT_KEYS = {"OUT#*"}  # made by a function, as partitions are
RECORDS = Path(records.__file__).parent
RECORDING = "COMFYQ_RECORD" in os.environ  # noqa: TID251 - a switch of this test alone


@pytest.mark.verify
def test_the_record_is_what_is_called(
    provisioned: Provisioned, emulator: Emulator, tmp_path: Path
) -> None:
    deployment = Deployment(provisioned, endpoint=emulator.url, data_dir=tmp_path)
    with closed_loops():
        play(deployment)
    if RECORDING:
        record(deployment.recordings, RECORD)
    seen = {role: frozenset(made.rights) for role, made in deployment.recordings.items()}
    assert seen == recorded()


def test_the_record_has_the_rights_that_are_easily_forgotten() -> None:
    """Each is needed on a path of its own, which the story must have taken."""
    rights = recorded()
    connections = "${WebSocketApi}/${Stage}/POST/@connections/*"
    endings = "${WebSocketApi}/${Stage}/DELETE/@connections/*"
    outputs, files = "${Bucket.Arn}/outputs/*", "${Bucket.Arn}/assets/*"
    assert Right("s3:AbortMultipartUpload", outputs) in rights["WorkerPolicy"]
    assert Right("s3:DeleteObject", outputs) in rights["WorkerPolicy"]
    assert Right("sqs:SendMessage", "${JobsQueue.Arn}") in rights["WorkerPolicy"]
    assert Right("dynamodb:Query", "${Table.Arn}/index/ready", "READY#*") in rights["WorkerPolicy"]
    assert Right("dynamodb:Query", "${Table.Arn}/index/ready", "READY#*") in rights["ApiRole"]
    assert Right("s3:GetObject", outputs) in rights["ApiRole"]
    assert Right("s3:DeleteObject", outputs) in rights["ApiRole"]
    assert Right("execute-api:ManageConnections", connections) in rights["ApiRole"]
    assert Right("execute-api:ManageConnections", endings) in rights["ApiRole"]
    assert Right("execute-api:ManageConnections", endings) in rights["ReaperRole"]
    assert Right("execute-api:ManageConnections", endings) in rights["WebSocketRole"]
    for counts in ("ApiRole", "IntakeRole", "ReaperRole"):
        assert Right("dynamodb:UpdateItem", "${Table.Arn}", "RATE#*") in rights[counts]
    assert Right("s3:DeleteObject", outputs) in rights["ReaperRole"]
    assert Right("s3:DeleteObject", files) in rights["ReaperRole"]
    assert Right("s3:DeleteObject", "${Bucket.Arn}/pending/*") in rights["ReaperRole"]
    assert Right("s3:PutObject", files) in rights["IntakeRole"]
    assert Right("s3:GetObject", files) in rights["WorkerPolicy"]
    assert Right("s3:GetObject", outputs) in rights["WorkerPolicy"], "one job's are another's input"


def test_who_runs_graphs_of_clients_reads_no_secret() -> None:
    """Custom nodes run beside a worker: its rights are those of an intruder, at worst."""
    rights = recorded()["WorkerPolicy"]
    partitions = {right.partition for right in rights}
    assert not partitions & {"SECRET#*", "IDEM#*", "DEAD#*", "RATE#*", "UPLOAD#*"}
    assert not partitions & {"KEY", "TICKET#*", "SOCKETS#*"}
    of_batches = {right.action for right in rights if right.partition == "BATCH#*"}
    assert of_batches == {"dynamodb:GetItem", "dynamodb:Query"}, "what followers are told"


def test_nobody_changes_what_the_audit_log_has() -> None:
    """It is added to and read; a put that would replace an entry is refused by its condition."""
    for role, rights in recorded().items():
        actions = {right.action for right in rights if right.partition == "AUDIT#*"}
        assert actions <= {"dynamodb:PutItem", "dynamodb:Query"}, role
    assert Right("dynamodb:PutItem", "${Table.Arn}", "AUDIT#*") in recorded()["ApiRole"]


def test_every_partition_of_the_records_is_somebodys() -> None:
    """A kind of item that no role was seen to use is a path that the story does not take."""
    written = set[str]()
    for path in RECORDS.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        written |= {f"{kind}#*" for kind in re.findall(r'(?:"pk": |return |\()f"([A-Z]+)#', text)}
        written |= set(re.findall(r'^(?:PARTITION|ASIDE) = "([A-Z]+)"', text, re.MULTILINE))
    seen = {right.partition for rights in recorded().values() for right in rights}
    assert len(written) > 8
    assert written - SORT_KEYS <= seen
