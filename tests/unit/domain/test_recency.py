"""What is known for a while is known no longer because a clock was set back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from comfyq.domain.api_key import USE_NOTED, ApiKey, KeyId
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.recency import is_recent

AT = datetime(2026, 1, 1, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("later_s", "recent"), [(0, True), (59.9, True), (60, False), (-0.1, False), (-86_400, False)]
)
def test_recent_is_what_was_within_the_last_while(later_s: float, recent: bool) -> None:
    assert is_recent(AT, AT + timedelta(seconds=later_s), within=A_MINUTE) is recent


def test_the_use_of_a_key_is_noted_by_a_clock_that_was_set_back() -> None:
    key = ApiKey(
        id=KeyId("0" * 16),
        tenant=DEFAULT_TENANT,
        name="a key",
        scopes=frozenset(),
        secret_hash="",
        created_at=AT,
    )
    used = replace(key, last_used_at=AT)
    assert key.notes_use(AT)
    assert not used.notes_use(AT + USE_NOTED / 2)
    assert used.notes_use(AT + USE_NOTED)
    assert used.notes_use(AT - A_MINUTE)
