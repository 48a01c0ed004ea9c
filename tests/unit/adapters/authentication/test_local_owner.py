import pytest

from comfyq.adapters.authentication.local_owner import OWNER, LocalOwner
from comfyq.domain.caller import DEFAULT_TENANT, SUBMITTING, Caller, Scope, TenantId
from comfyq.domain.errors import MissingScope
from comfyq.ports.access.authenticator import Credentials
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio


async def test_every_client_is_the_owner_who_may_do_everything() -> None:
    caller = await LocalOwner().of_client(Credentials(headers={}, query={}))
    assert caller == OWNER == Caller(DEFAULT_TENANT, frozenset(Scope))
    for scope in Scope:
        caller.require(scope)


async def test_a_queue_stands_for_the_tenant_of_the_setting_and_only_submits() -> None:
    services = ApiLab(COMFYQ_SUBMISSIONS_TENANT="studio").services
    caller = await services.authenticator.of_queue("submissions")
    assert caller == Caller(TenantId("studio"), SUBMITTING)
    with pytest.raises(MissingScope, match=r"`read`; the caller's scopes are: graph, submit, wait"):
        caller.require(Scope.READ)
