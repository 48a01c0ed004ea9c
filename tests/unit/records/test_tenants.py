"""What is stored of a tenant, beside other processes that store it too."""

import asyncio
from dataclasses import replace

import pytest

from comfyq.domain.caller import TenantId
from comfyq.domain.tenant import Limits, Tenant
from comfyq.records.tenants import TenantRecords
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

ACME = TenantId("acme")


@pytest.fixture
def records() -> TenantRecords:
    return TenantRecords(MemoryTable(clock=ManualClock()))


async def test_nothing_is_said_of_a_tenant_at_first(records: TenantRecords) -> None:
    assert await records.get(ACME) == Tenant(id=ACME)
    assert await records.all() == []


async def test_concurrent_changes_are_all_kept(records: TenantRecords) -> None:
    await asyncio.gather(
        records.change(ACME, lambda old: _with(old, jobs_per_day=5)),
        records.change(ACME, lambda old: _with(old, waiting_jobs=7)),
        records.change(ACME, lambda old: _with(old, stored_bytes=9)),
    )
    said = Tenant(id=ACME, limits=Limits(jobs_per_day=5, waiting_jobs=7, stored_bytes=9))
    assert await records.get(ACME) == said
    assert await records.all() == [said]


def test_what_is_not_said_of_a_tenant_is_as_the_settings_say() -> None:
    settings = Limits(requests_per_minute=60, waiting_jobs=10)
    own = Limits(requests_per_minute=600, stored_bytes=1)
    assert own.over(settings) == Limits(requests_per_minute=600, waiting_jobs=10, stored_bytes=1)


def _with(tenant: Tenant, **limits: int) -> Tenant:
    return replace(tenant, limits=replace(tenant.limits, **limits))
