from collections.abc import Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from comfyq.domain.errors import Unavailable
from comfyq.telemetry.metrics import Counter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Calls:
    """The metrics of the calls of a service, by operation."""

    number: Counter
    seconds: Counter
    errors: Counter

    async def measured(self, operation: str, call: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``call``; count it, and whether the service did not answer."""
        began = perf_counter()
        try:
            return await call
        except Unavailable:
            self.errors.add(operation)
            raise
        finally:
            self.number.add(operation)
            self.seconds.add(operation, by=perf_counter() - began)
