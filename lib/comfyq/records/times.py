"""Times in items: epoch milliseconds; in sort keys zero-padded, so that text sorts as time."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(when: datetime) -> int:
    return (when - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    return EPOCH + ms * MILLISECOND


def sortable(when: datetime) -> str:
    return f"{(when - EPOCH) // MILLISECOND:015d}"


def optional_ms(when: datetime | None) -> int | None:
    return None if when is None else (when - EPOCH) // MILLISECOND


def optional_time(ms: int | None) -> datetime | None:
    return None if ms is None else EPOCH + ms * MILLISECOND
