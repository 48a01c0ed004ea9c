"""What clients are told of their limits."""

from datetime import timedelta
from typing import Any

import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Scope, TenantId
from comfyq.domain.files.asset import taken
from comfyq.domain.tenant import Limits, Tenant
from comfyq.services.limits import waiting_limit
from tests.access_lab import ALL
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox"}


def test_what_is_used_of_each_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_limit, "COUNT_S", 0)
    lab = ApiLab(
        COMFYQ_REQUESTS_PER_MINUTE=10,
        COMFYQ_JOBS_PER_DAY=7,
        COMFYQ_WAITING_JOBS=5,
        COMFYQ_UPLOADS_BYTES=100_000,
    )
    assert lab.client.post("/generate/batch", json={"requests": [FOX, FOX]}).status_code == 202
    assert lab.client.post("/assets", content=b"abc").status_code == 201
    midnight = (lab.clock.now() + timedelta(days=1)).date()
    assert lab.client.get("/quota").json() == {
        "tenant": DEFAULT_TENANT,
        "scopes": sorted(Scope),
        "requests": [
            {"of": "tenant", "limit": 10, "window_s": 60, "remaining": 7, "full_in_s": 18}
        ],
        "jobs_per_day": {"limit": 7, "used": 2, "ends_at": f"{midnight}T00:00:00.000Z"},
        "waiting_jobs": {"limit": 5, "used": 2},
        "stored_bytes": {"limit": 100_000, "used": taken(3)},
        "output_bytes": None,
    }


def test_what_nobody_has_limited_is_not_counted() -> None:
    lab = ApiLab()
    lab.submit()
    shown = lab.client.get("/quota").json()
    assert shown["requests"] == []
    assert (shown["jobs_per_day"]["limit"], shown["jobs_per_day"]["used"]) == (None, None)
    assert shown["jobs_per_day"]["ends_at"].endswith("T00:00:00.000Z")


async def test_a_process_that_counted_nothing_knows_what_others_counted() -> None:
    """And tells each tenant of itself alone."""
    lab = ApiLab(COMFYQ_AUTH="keys", COMFYQ_REQUESTS_PER_MINUTE=10, COMFYQ_JOBS_PER_DAY=9)
    acme = TenantId("acme")
    own = Limits(requests_per_minute=100, stored_bytes=5, waiting_jobs=3)
    await lab.services.tenant_records.change(acme, lambda old: Tenant(id=old.id, limits=own))
    keys = {
        tenant: (await lab.services.api_keys.create(tenant, "k", ALL, lives=None))[1]
        for tenant in (DEFAULT_TENANT, acme)
    }

    def ask(method: str, path: str, tenant: TenantId, **options: Any) -> Any:
        headers = {"X-API-Key": keys[tenant]}
        return lab.client.request(method, path, headers=headers, **options)

    assert ask("POST", "/generate", DEFAULT_TENANT, json=FOX).status_code == 202
    lab.services.rate_limit._full_us.clear()
    shown = ask("GET", "/quota", DEFAULT_TENANT).json()
    assert (shown["requests"][0]["remaining"], shown["jobs_per_day"]["used"]) == (9, 1)
    other = ask("GET", "/quota", acme).json()
    assert (other["requests"][0]["remaining"], other["jobs_per_day"]["used"]) == (100, 0)
    assert other["waiting_jobs"] == {"limit": 3, "used": 0}
    assert other["stored_bytes"] == {"limit": 5, "used": 0}
    refused = ask("POST", "/assets", acme, content=b"abc")
    assert (refused.status_code, refused.json()["code"]) == (413, "uploads-full")
    assert "the most is 5 (the tenant's own limit)" in refused.json()["detail"]
    assert ask("POST", "/assets", DEFAULT_TENANT, content=b"abc").status_code == 201
    answers = [ask("POST", "/generate", acme, json=FOX) for _ in range(4)]
    assert [each.status_code for each in answers] == [202, 202, 202, 429]
    assert "over 3 (the tenant's own limit)" in answers[-1].json()["detail"]
