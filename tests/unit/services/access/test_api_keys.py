"""API keys: what is stored of them, what lets in, and for how long a memory may differ."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from comfyq.domain.api_key import USE_NOTED, ApiKey, key_parts
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.errors import ApiKeyNotFound, TableUnavailable, Unauthenticated
from comfyq.ports.table import Item, Key, Put
from comfyq.records.access.audit import AuditRecords
from comfyq.records.api_keys import ApiKeyRecords
from comfyq.records.subscriptions import SubscriptionRecords
from comfyq.services.access.api_keys import KNOWN_FOR, MAX_KNOWN, ApiKeys
from comfyq.services.access.audit import Audit
from comfyq.services.access.open_sockets import OpenSockets
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

SCOPES = frozenset({Scope.READ, Scope.SUBMIT})
OTHER = TenantId("other")


class CountingTable(MemoryTable):
    """Counts reads by key; ``away`` makes it unavailable."""

    reads = 0
    away = False

    async def get(self, key: Key) -> Item | None:
        if self.away:
            raise TableUnavailable("the table was told to be away")
        self.reads += 1
        return await super().get(key)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.table = CountingTable(clock=self.clock)
        self.records = ApiKeyRecords(self.table)
        self.keys = self.process()

    def process(self) -> ApiKeys:
        """The keys as another process has them, with a memory of its own."""
        sockets = OpenSockets(
            subscriptions=SubscriptionRecords(self.table),
            notifier=MemoryNotifier(),
            clock=self.clock,
        )
        return ApiKeys(
            records=self.records,
            sockets=sockets,
            audit=Audit(records=AuditRecords(self.table, new_id=_new_id()), clock=self.clock),
            clock=self.clock,
            draw=_drawn(),
        )

    async def made(self, *, lives: timedelta | None = None) -> tuple[ApiKey, str]:
        return await self.keys.create(DEFAULT_TENANT, "laptop", SCOPES, lives=lives)


def _new_id() -> Callable[[], str]:
    numbers = count()
    return lambda: f"{next(numbers):04d}"


def _drawn() -> Callable[[int], str]:
    """Digits that differ at each draw."""
    number = count(1)
    return lambda size: f"{next(number):0{2 * size}x}"


@pytest.fixture
def world() -> World:
    return World()


async def refused(keys: ApiKeys, text: str) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await keys.caller(text)
    assert raised.value.given
    return str(raised.value)


async def test_a_key_stands_for_its_tenant_and_scopes(world: World) -> None:
    key, text = await world.made()
    assert text.startswith(f"cq_{key.id}_")
    assert await world.process().caller(text) == Caller(DEFAULT_TENANT, SCOPES, key=key.id)


async def test_the_secret_is_nowhere_in_the_table(world: World) -> None:
    _, text = await world.made()
    parts = key_parts(text)
    assert parts is not None
    page = await world.table.query("main", "KEY", limit=10)
    assert parts[1] not in str(page.items)
    assert parts[0] in str(page.items)


async def test_equal_secrets_have_different_hashes(world: World) -> None:
    """A reader of the table can neither see which keys are equal, nor use one for another."""
    first, text = await world.made()
    second, _ = await world.made()
    stolen = f"cq_{second.id}_{text[-64:]}"
    assert first.secret_hash != second.secret_hash
    assert await refused(world.keys, stolen) == "the API key is unknown, wrong or revoked"


OTHER_TEXTS: dict[str, Callable[[str], str]] = {
    "another letter": lambda text: text[:-1] + "z",
    "another digit": lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
    "longer": lambda text: text + "0",
    "with a line's end": lambda text: text + "\n",
    "without its prefix": lambda text: text.removeprefix("cq_"),
    "empty": lambda text: "",
    "an unknown id": lambda text: f"cq_{'f' * 16}_{text[-64:]}",
    "digits of another script": lambda text: text.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
}


@pytest.mark.parametrize("change", OTHER_TEXTS)
async def test_no_other_text_lets_in(world: World, change: str) -> None:
    _, text = await world.made()
    other = OTHER_TEXTS[change](text)
    assert await refused(world.keys, other) == "the API key is unknown, wrong or revoked"


async def test_an_expired_key_lets_nobody_in_from_that_moment(world: World) -> None:
    key, text = await world.made(lives=timedelta(hours=1))
    world.clock.advance(3_599)
    assert (await world.keys.caller(text)).until == key.expires_at
    world.clock.advance(1)
    assert "has expired" in await refused(world.keys, text)
    assert "has expired" in await refused(world.process(), text)
    assert not await world.keys.usable()
    assert [each.id for each in await world.keys.all()] == [key.id]
    world.clock.advance(31 * 86_400)
    assert await world.keys.all() == []


async def test_a_revoked_key_lets_nobody_in_here_at_once_and_elsewhere_soon(world: World) -> None:
    key, text = await world.made()
    elsewhere = world.process()
    await elsewhere.caller(text)
    assert (await world.keys.revoke(key.id)).id == key.id
    await refused(world.keys, text)
    await elsewhere.caller(text)  # as it was a moment ago
    world.clock.advance(KNOWN_FOR.total_seconds())
    await refused(elsewhere, text)
    assert not await world.keys.is_valid(key.id)


async def test_a_clock_that_is_set_back_keeps_no_revoked_key_known(world: World) -> None:
    key, text = await world.made()
    elsewhere = world.process()
    await elsewhere.caller(text)
    await world.keys.revoke(key.id)
    world.clock.advance(-3_600)
    await refused(elsewhere, text)


async def test_nobody_revokes_another_tenants_key(world: World) -> None:
    key, text = await world.made()
    with pytest.raises(ApiKeyNotFound):
        await world.keys.revoke(key.id, tenant=OTHER)
    await world.keys.caller(text)
    await world.keys.revoke(key.id, tenant=DEFAULT_TENANT)
    with pytest.raises(ApiKeyNotFound):
        await world.keys.revoke(key.id)


async def test_a_key_that_is_used_often_is_read_seldom(world: World) -> None:
    _, text = await world.made()
    await world.keys.caller(text)
    before = world.table.reads
    for _ in range(50):
        await world.keys.caller(text)
    assert world.table.reads == before
    world.clock.advance(KNOWN_FOR.total_seconds())
    await world.keys.caller(text)
    assert world.table.reads == before + 1


async def test_the_memory_is_bounded_and_ids_that_are_guessed_are_not_kept(world: World) -> None:
    _, text = await world.made()
    await world.keys.caller(text)
    for number in range(MAX_KNOWN + 10):
        await refused(world.keys, f"cq_{number:016x}_{'0' * 64}".replace("0001_", "ffff_"))
    before = world.table.reads
    await world.keys.caller(text)
    assert world.table.reads == before
    others = [(await world.made())[1] for _ in range(MAX_KNOWN)]
    for other in others:
        await world.keys.caller(other)
    assert len(world.keys._known) == MAX_KNOWN


async def test_the_last_use_is_noted_once_an_hour(world: World) -> None:
    key, text = await world.made()

    async def last_used() -> object:
        stored = await world.records.get(key.id)
        return stored and stored.last_used_at

    assert await last_used() is None
    await world.keys.caller(text)
    first = world.clock.now()
    assert await last_used() == first
    world.clock.advance(USE_NOTED.total_seconds() - 1)
    await world.keys.caller(text)
    assert await last_used() == first
    world.clock.advance(1)
    await world.keys.caller(text)
    assert await last_used() == world.clock.now()


async def test_noting_a_use_does_not_bring_a_revoked_key_back(world: World) -> None:
    key, _ = await world.made()
    stored = await world.records.get(key.id)
    assert stored is not None
    await world.keys.revoke(key.id)
    assert await world.records.note_use(key.id, world.clock.now()) is None
    assert await world.records.get(key.id) is None


async def test_a_table_that_is_away_lets_nobody_in_but_those_just_seen(world: World) -> None:
    _, text = await world.made()
    await world.keys.caller(text)
    world.table.away = True
    await world.keys.caller(text)
    world.clock.advance(KNOWN_FOR.total_seconds())
    with pytest.raises(TableUnavailable):
        await world.keys.caller(text)


async def test_keys_are_listed_by_tenant_the_oldest_first(world: World) -> None:
    first, _ = await world.made()
    world.clock.advance(1)
    other, _ = await world.keys.create(OTHER, "theirs", SCOPES, lives=None)
    world.clock.advance(1)
    last, _ = await world.made()
    assert [key.id for key in await world.keys.all()] == [first.id, other.id, last.id]
    assert [key.id for key in await world.keys.all(DEFAULT_TENANT)] == [first.id, last.id]


@pytest.mark.parametrize(
    ("stored", "has"),
    [
        (["read", "submit"], {Scope.READ, Scope.SUBMIT, Scope.GRAPH, Scope.WAIT}),
        (["read"], {Scope.READ}),
    ],
)
async def test_a_key_that_was_made_before_submit_was_divided_keeps_all_of_it(
    stored: list[str], has: set[Scope]
) -> None:
    world = World()
    key, text = await world.made()
    item = await world.table.get(("KEY", key.id))
    assert item is not None
    older = {name: value for name, value in item.items() if name != "divided"}
    await world.table.write(Put({**older, "scopes": stored}))
    for _ in range(2):  # its use is noted, which writes it anew
        assert (await world.process().caller(text)).scopes == has


@pytest.mark.parametrize(
    ("tenant", "has"),
    [(DEFAULT_TENANT, {Scope.ADMIN, Scope.OPERATOR}), (OTHER, {Scope.ADMIN})],
)
async def test_an_administrator_of_before_there_were_operators_is_one_in_the_default_tenant(
    tenant: TenantId, has: set[Scope]
) -> None:
    world = World()
    key, text = await world.keys.create(tenant, "k", frozenset({Scope.ADMIN}), lives=None)
    assert (await world.process().caller(text)).scopes == {Scope.ADMIN}
    item = await world.table.get(("KEY", key.id))
    assert item is not None
    await world.table.write(Put({name: item[name] for name in item if name != "apart"}))
    for _ in range(2):  # its use is noted, which writes it anew
        assert (await world.process().caller(text)).scopes == has


async def test_a_new_key_has_the_scopes_that_it_names(world: World) -> None:
    _, text = await world.made()
    assert (await world.process().caller(text)).scopes == SCOPES
