"""Behaviour of DynamoDB, and of the way to it, that the other engines do not have."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from comfyq.adapters.dynamodb import calls
from comfyq.adapters.dynamodb.table import DynamoTable
from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.adapters.system.clock import CorrectedClock, SystemClock
from comfyq.domain.errors import TableUnavailable
from comfyq.ports.table import ConditionFailed, Delete, Put
from tests.fixtures.emulator import Aws
from tests.fixtures.lossy_proxy import LossyProxy

pytestmark = [pytest.mark.anyio, pytest.mark.dynamodb]

ITEM = {"pk": "a", "sk": "META", "version": 1, "wid": "mine"}
OTHER = {"pk": "b", "sk": "META", "version": 1, "wid": "mine"}


@pytest.fixture
def aws(aws: Aws) -> Aws:
    return aws.anew()  # these tests hang faults on the clients


@pytest.fixture
def table(aws: Aws, provisioned: Provisioned) -> DynamoTable:
    return DynamoTable(client=lambda: aws.dynamodb, table=provisioned.table, clock=SystemClock())


@pytest.fixture
def proxy(aws: Aws) -> Iterator[LossyProxy]:
    writes = frozenset({"PutItem", "TransactWriteItems"})
    with LossyProxy(aws.endpoint("dynamodb"), operations=writes).running() as running:
        yield running


class Answers:
    """Answers calls instead of DynamoDB, until they are used up."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self._answers = list(answers)
        self.calls = 0

    def __call__(self, request: Any, **event: Any) -> AWSResponse | None:
        if not self._answers:
            return None
        self.calls += 1
        status, body = self._answers.pop(0)
        headers = HTTPHeaders()
        headers["content-type"] = "application/x-amz-json-1.0"
        return AWSResponse(request.url, status, headers, _Raw(json.dumps(body).encode()))


class _Raw(BytesIO):
    def stream(self, *sizes: Any, **options: Any) -> Iterator[bytes]:
        yield self.read()


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more}


CANCELLED = (
    400,
    error(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "None"}, {"Code": "TransactionConflict"}],
    ),
)
CONFLICT = (400, error("TransactionConflictException"))
THROTTLED = (400, error("ProvisionedThroughputExceededException"))
BROKEN = (500, error("InternalServerError"))


@pytest.fixture
def inject(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answers]:
    monkeypatch.setattr(calls, "LAST_PAUSE_S", 0.01)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _no_delay)

    def injected(operation: str, *answers: tuple[int, dict[str, Any]]) -> Answers:
        handler = Answers(*answers)
        event = f"before-send.dynamodb.{operation}"
        aws.dynamodb.meta.events.register(event, handler)  # type: ignore[arg-type] # may answer
        return handler

    return injected


def _no_delay(self: object, context: object) -> float:
    return 0


@pytest.fixture
def distant(proxy: LossyProxy, provisioned: Provisioned) -> DynamoTable:
    """The table behind the proxy."""
    client = Aws(proxy.url).dynamodb
    return DynamoTable(client=lambda: client, table=provisioned.table, clock=SystemClock())


async def test_a_write_whose_answer_got_lost_finds_itself(
    proxy: LossyProxy, distant: DynamoTable
) -> None:
    proxy.lose = 1
    with pytest.raises(ConditionFailed) as refused:
        await distant.write(Put(ITEM, absent=True))
    assert proxy.lost == 1
    assert refused.value.found == {0: ITEM}
    assert await distant.get(("a", "META")) == ITEM


async def test_a_transaction_whose_answer_got_lost_is_known_by_its_token(
    proxy: LossyProxy, distant: DynamoTable
) -> None:
    proxy.lose = 1
    await distant.write(Put(ITEM, absent=True), Put(OTHER, absent=True))
    assert proxy.lost == 1
    assert await distant.get(("b", "META")) == OTHER


async def test_a_write_whose_answers_all_got_lost_is_unavailable(
    proxy: LossyProxy, distant: DynamoTable
) -> None:
    proxy.lose = 3
    with pytest.raises(TableUnavailable, match="does not answer"):
        await distant.write(Put(ITEM))
    assert await distant.get(("a", "META")) == ITEM


async def test_conflicts_of_transactions_are_tried_again(
    table: DynamoTable, inject: Callable[..., Answers]
) -> None:
    transactions = inject("TransactWriteItems", CANCELLED, CANCELLED, CANCELLED)
    await table.write(Put(ITEM, absent=True), Put(OTHER, absent=True))
    puts, deletes = inject("PutItem", CONFLICT, CONFLICT), inject("DeleteItem", CONFLICT)
    await table.write(Put({**ITEM, "version": 2}, version=1))
    await table.write(Delete(("b", "META"), version=1))
    counts = inject("UpdateItem", CONFLICT)
    assert await table.add(("RATE", "w"), 1, most=1, ttl=2**40) == (1, True)
    assert [transactions.calls, puts.calls, deletes.calls, counts.calls] == [3, 2, 1, 1]
    assert await table.get(("a", "META")) == {**ITEM, "version": 2}


async def test_an_addition_is_one_call_wherever_the_number_was_seen(
    table: DynamoTable, aws: Aws
) -> None:
    calls: list[Any] = []

    def noted(request: Any, **event: Any) -> None:
        calls.append(request)

    aws.dynamodb.meta.events.register("before-send.dynamodb.UpdateItem", noted)
    key, bounds = ("RATE", "w"), {"most": 1_000, "ttl": 2**40}
    for least in (0, 0, 0, 500, 500, 900):  # begins, goes on, begins, goes on, begins
        await table.add(key, 10, least=least, **bounds)
    assert (len(calls), (await table.get(key) or {})["n"]) == (6, 910)
    assert await table.add(key, 10, least=0, most=900, ttl=2**40) == (910, False)
    assert len(calls) == 7
    other = DynamoTable(client=lambda: aws.dynamodb, table=table._table, clock=SystemClock())
    assert await other.add(key, 10, least=0, **bounds) == (920, True)
    assert len(calls) == 9, "it saw the number with its first call"


async def test_conflicts_without_end_are_unavailable(
    table: DynamoTable, inject: Callable[..., Answers]
) -> None:
    refusals = inject("TransactWriteItems", *[CANCELLED] * 50)
    with pytest.raises(TableUnavailable, match="conflicts with other transactions"):
        await table.write(Put(ITEM), Put(OTHER))
    assert refusals.calls == calls.TRIES


@pytest.mark.parametrize("answer", [THROTTLED, BROKEN])
async def test_throttles_and_failures_are_unavailable_after_botocore_gave_up(
    table: DynamoTable, inject: Callable[..., Answers], answer: tuple[int, dict[str, Any]]
) -> None:
    for operation in ("GetItem", "PutItem", "Query", "UpdateItem", "TransactWriteItems"):
        inject(operation, *[answer] * 3)
    for asked in (
        table.get(("a", "META")),
        table.write(Put(ITEM)),
        table.query("active", "A", limit=1),
        table.add(("RATE", "w"), 1, most=1, ttl=2**40),
        table.write(Put(ITEM), Put(OTHER)),
    ):
        with pytest.raises(TableUnavailable) as unavailable:
            await asked
        assert unavailable.value.__cause__ is not None
    assert await table.get(("a", "META")) is None


async def test_one_failure_is_not_noticed(
    table: DynamoTable, inject: Callable[..., Answers]
) -> None:
    inject("PutItem", BROKEN)
    await table.write(Put(ITEM))
    assert await table.get(("a", "META")) == ITEM


async def test_nobody_there_is_unavailable(provisioned: Provisioned, aws: Aws) -> None:
    nowhere = Aws("http://127.0.0.1:9").dynamodb
    for client, name in ((nowhere, provisioned.table), (aws.dynamodb, "no-such-table")):
        table = DynamoTable(client=lambda c=client: c, table=name, clock=SystemClock())  # type: ignore[misc]
        with pytest.raises(TableUnavailable, match="DynamoDB"):
            await table.get(("a", "META"))


async def test_each_answer_tells_the_stores_time(aws: Aws, provisioned: Provisioned) -> None:
    dates: list[datetime] = []
    table = DynamoTable(
        client=lambda: aws.dynamodb,
        table=provisioned.table,
        clock=SystemClock(),
        on_date=dates.append,
    )
    await table.get(("a", "META"))
    with pytest.raises(ConditionFailed):
        await table.write(Put(ITEM, version=5))
    assert len(dates) == 2
    assert all(abs(date - SystemClock().now()) < timedelta(seconds=3) for date in dates)


async def test_the_corrected_clock_follows_the_store_and_ignores_rounding() -> None:
    clock, local = CorrectedClock(), SystemClock()
    clock.observe(local.now().replace(microsecond=0))
    assert clock.skew == timedelta()
    clock.observe((local.now() + timedelta(minutes=5)).replace(microsecond=0))
    assert abs(clock.now() - local.now() - timedelta(minutes=5)) < timedelta(seconds=1)
    skew = clock.skew
    clock.observe((local.now() + timedelta(minutes=5)).replace(microsecond=0))
    assert clock.skew == skew
    assert clock.now().tzinfo is UTC


def test_no_client_is_imported_before_the_first_call() -> None:
    program = (
        "import sys\n"
        "from comfyq.adapters.dynamodb.table import DynamoTable\n"
        "from comfyq.adapters.sqs.queue import SqsQueue\n"
        "from comfyq.adapters.s3.assets import S3Assets\n"
        "DynamoTable(client=lambda: 1 / 0, table='t', clock=None)\n"
        "SqsQueue(client=lambda: 1 / 0, url='u')\n"
        "S3Assets(client=lambda: 1 / 0, bucket='b')\n"
        "assert not {'boto3', 'botocore.session', 'minio', 'urllib3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
