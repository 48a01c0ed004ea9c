import functools
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from comfyq.domain.errors import TableUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T", bound=Mapping[str, Any])

TRIES = 8
FIRST_PAUSE_S, LAST_PAUSE_S = 0.02, 0.5

# Another transaction is at work on one of the items. botocore does not retry these.
CONFLICTS = frozenset(
    {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
)
THROTTLES = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"})
REFUSAL = "ConditionalCheckFailed"


class RequestRefused(Exception):
    """Conditions did not hold: by position, the attributes of what stands there."""

    def __init__(self, found: Mapping[int, Mapping[str, Any] | None]) -> None:
        super().__init__(f"refused: {sorted(found)}")
        self.found = found


class DynamoCalls:
    """Make a client's calls in threads, and translate its errors.

    ``client`` is called at the first call, in a thread. ``on_date`` is called with the ``Date``
    header of each answer.
    """

    def __init__(
        self,
        *,
        client: Callable[[], "DynamoDBClient"],
        on_date: Callable[[datetime], None] | None,
    ) -> None:
        self._client = functools.cache(client)
        self._on_date = on_date

    async def call(self, request: Callable[["DynamoDBClient"], T]) -> T:
        """Run ``request`` on the client, and repeat it while it conflicts with transactions.

        Raises:
            RequestRefused: a condition of the request does not hold.
            TableUnavailable: DynamoDB failed; if only the answer was lost, the request was done.
        """
        pause_s = FIRST_PAUSE_S
        for _ in range(TRIES):
            answer = await to_thread.run_sync(self._once, request)
            if answer is not None:
                return answer
            await anyio.sleep(random.uniform(0, pause_s))
            pause_s = min(2 * pause_s, LAST_PAUSE_S)
        raise TableUnavailable(
            f"DynamoDB: conflicts with other transactions {TRIES} times in a row"
        )

    def _once(self, request: Callable[["DynamoDBClient"], T]) -> T | None:
        """Return the answer; None if the request must be repeated."""
        try:
            answer = request(self._client())
        except ClientError as error:
            self._observe(error.response)
            _judge(error)
            return None
        except BotoCoreError as error:
            raise TableUnavailable(f"DynamoDB does not answer: {error}") from error
        self._observe(answer)
        return answer

    def _observe(self, answer: Mapping[str, Any]) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if self._on_date is not None and date is not None:
            self._on_date(parsedate_to_datetime(date))


def _judge(error: ClientError) -> None:
    """Return if the request may be repeated; raise the translated error otherwise."""
    response: Mapping[str, Any] = error.response
    code = response.get("Error", {}).get("Code", "")
    reasons = list(response.get("CancellationReasons", ()))
    if code == f"{REFUSAL}Exception":
        reasons = [{"Code": REFUSAL, "Item": response.get("Item")}]
    refused = {at: reason for at, reason in enumerate(reasons) if reason.get("Code") == REFUSAL}
    if refused:
        raise RequestRefused({at: reason.get("Item") for at, reason in refused.items()}) from error
    codes = {reason.get("Code", "None") for reason in reasons} or {code}
    if codes - {"None"} <= CONFLICTS | THROTTLES and codes & (CONFLICTS | THROTTLES):
        return
    if code == "ValidationException":  # a request that no engine should have been given
        raise error
    raise TableUnavailable(f"DynamoDB: {error}") from error
