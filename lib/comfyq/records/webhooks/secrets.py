"""Secrets that sign a tenant's webhooks: ``WEBHOOKS#tenant`` / ``SECRETS``."""

from collections.abc import Callable

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import TooContended
from comfyq.domain.webhook.secrets import WebhookSecrets
from comfyq.ports.table import ConditionFailed, Item, Key, Put, Table
from comfyq.records.times import optional_ms, optional_time

TRIES = 5  # of a change beside others


class WebhookSecretRecords:
    def __init__(self, table: Table, *, new_secret: Callable[[], str]) -> None:
        self._table = table
        self._new_secret = new_secret

    async def of(self, tenant: TenantId) -> WebhookSecrets:
        """Return a tenant's secrets; the first one is made at the first call."""
        item = await self._table.get(_key(tenant))
        if item is not None:
            return _secrets(item)
        return await self._change(tenant, lambda known: known)

    async def rotate(
        self, tenant: TenantId, change: Callable[[WebhookSecrets, str], WebhookSecrets]
    ) -> WebhookSecrets:
        """Store what ``change`` makes of a tenant's secrets and a new one."""
        new = self._new_secret()
        return await self._change(tenant, lambda known: change(known, new))

    async def _change(
        self, tenant: TenantId, change: Callable[[WebhookSecrets], WebhookSecrets]
    ) -> WebhookSecrets:
        for _ in range(TRIES):
            item = await self._table.get(_key(tenant))
            known = _secrets(item) if item else WebhookSecrets(current=self._new_secret())
            changed = change(known)
            version = None if item is None else item["version"]
            put = Put(
                _item(tenant, changed, (version or 0) + 1), absent=item is None, version=version
            )
            try:
                await self._table.write(put)
            except ConditionFailed:
                continue
            return changed
        raise TooContended(f"the secrets of tenant {tenant} are being changed; try again")


def _key(tenant: TenantId) -> Key:
    return f"WEBHOOKS#{tenant}", "SECRETS"


def _item(tenant: TenantId, secrets: WebhookSecrets, version: int) -> Item:
    pk, sk = _key(tenant)
    return {
        "pk": pk,
        "sk": sk,
        "version": version,
        "current": secrets.current,
        "earlier": secrets.earlier,
        "until": optional_ms(secrets.earlier_until),
    }


def _secrets(item: Item) -> WebhookSecrets:
    return WebhookSecrets(
        current=item["current"],
        earlier=item.get("earlier"),
        earlier_until=optional_time(item.get("until")),
    )
