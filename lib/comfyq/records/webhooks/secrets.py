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
        if item is None:
            item = _item(tenant, WebhookSecrets(current=self._new_secret()), version=1)
            try:
                await self._table.write(Put(item, absent=True))
            except ConditionFailed:  # another process came first
                item = await self._table.get(_key(tenant))
                assert item is not None, "secrets are never deleted"
        return _secrets(item)

    async def rotate(
        self, tenant: TenantId, change: Callable[[WebhookSecrets, str], WebhookSecrets]
    ) -> WebhookSecrets:
        """Store what ``change`` makes of a tenant's secrets and a new one.

        Raises:
            TooContended: others were stored first, TRIES times in a row.
        """
        new = self._new_secret()
        await self.of(tenant)
        for _ in range(TRIES):
            item = await self._table.get(_key(tenant))
            assert item is not None, "secrets are never deleted"
            changed, version = change(_secrets(item), new), item["version"]
            try:
                put = Put(_item(tenant, changed, version=version + 1), version=version)
                await self._table.write(put)
            except ConditionFailed:
                continue
            return changed
        raise TooContended(f"the secrets of tenant {tenant} are being changed; try again")


def _key(tenant: TenantId) -> Key:
    return f"WEBHOOKS#{tenant}", "SECRETS"


def _item(tenant: TenantId, secrets: WebhookSecrets, *, version: int) -> Item:
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
