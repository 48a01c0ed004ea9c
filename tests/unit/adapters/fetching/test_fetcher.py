"""The guard of fetches, on real sockets of this machine and with names of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from socket import EAI_NONAME, gaierror

import pytest
from aiohttp import web

from comfyq.adapters.fetching.fetcher import HttpFetcher, Patience
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import InputForbidden, InputInvalid, InputRefused, InputUnavailable
from comfyq.domain.public_addresses import Allowed, is_public

pytestmark = pytest.mark.anyio

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
NOT_PUBLIC = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]
PNG = b"\x89PNG and so on"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_may_reach_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_only_we_may_reach_is_not(address: str) -> None:
    assert not is_public(ip_address(address))


def test_exceptions_are_hosts_addresses_and_networks() -> None:
    allowed = Allowed.of(["files.lan", "10.1.0.0/16", "192.168.7.7"])
    assert allowed.permits("Files.lan.", ip_address("10.9.9.9"))
    assert allowed.permits("other", ip_address("10.1.2.3"))
    assert allowed.permits("other", ip_address("192.168.7.7"))
    assert not allowed.permits("other", ip_address("10.2.0.1"))
    assert not allowed.permits("other", ip_address("192.168.7.8"))


class Names:
    """A resolver whose answers change: one list of addresses for each time it is asked."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name: list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, tenant: TenantId, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers[host.split(".")[0]]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def fetcher(names: Names | None = None, *, allow: Sequence[str] = ()) -> HttpFetcher:
    return HttpFetcher(
        allowed=Allowed.of(allow),
        look_up=names or Names(),
        patience=Patience(connect_s=1, idle_s=1, total_s=2),
    )


async def refusal(url: str, by: HttpFetcher, *, max_bytes: int = 100) -> InputRefused:
    with pytest.raises(InputRefused) as raised:
        await by.fetch(url, tenant=DEFAULT_TENANT, kind="image", max_bytes=max_bytes)
    return raised.value


@asynccontextmanager
async def serving(**pages: Handler) -> AsyncIterator[int]:
    """A server on this machine; its port."""
    app = web.Application()
    for name, handler in pages.items():
        app.router.add_get(f"/{name}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


def answering(
    body: bytes = PNG, status: int = 200, **headers: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    message = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=message)

    return answer


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a",
        "http://[::ffff:127.0.0.1]:{port}/a",
        "http://[::1]:{port}/a",
        "http://user@127.0.0.1:{port}/a",
        "ftp://127.0.0.1:{port}/a",
        "file:///etc/passwd",
    ],
)
async def test_addresses_of_our_own_are_never_asked(url: str) -> None:
    asked: list[str] = []

    async def page(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=PNG)

    async with serving(a=page) as port:
        message = await refusal(url.format(port=port), fetcher())
    assert isinstance(message, InputForbidden)
    assert not asked


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
async def test_odd_ways_of_writing_an_address_lead_nowhere(host: str) -> None:
    names = Names(**{host.split(".")[0]: [["127.0.0.1"]]})  # what a system's resolver makes of it
    message = await refusal(f"http://{host}/", fetcher(names))
    assert isinstance(message, InputForbidden | InputInvalid)


async def test_a_name_is_refused_if_any_of_its_addresses_is_ours() -> None:
    names = Names(mixed=[["93.184.216.34", "10.0.0.1"]])
    message = await refusal("http://mixed.example/", fetcher(names))
    assert isinstance(message, InputForbidden)
    assert "10.0.0.1" not in str(message)


async def test_a_name_of_our_network_is_refused_in_the_words_of_one_that_does_not_exist() -> None:
    async def names(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        if host == "db.example":
            return ["10.0.0.1"]
        raise gaierror(EAI_NONAME, "no such name")

    by = HttpFetcher(look_up=names)
    ours, nobodys = [await refusal(f"http://{name}.example/", by) for name in ("db", "no")]
    assert type(ours) is type(nobodys) is InputForbidden
    assert str(ours).replace("db.", "no.") == str(nobodys)


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("http://127.0.0.1:1/", True),
        ("http://mine.example/", True),
        ("http://169.254.169.254/latest/meta-data/", False),  # no setting opens that
    ],
)
async def test_a_refusal_names_the_setting_that_allows_an_address(url: str, has: bool) -> None:
    message = await refusal(url, fetcher(Names(mine=[["10.0.0.1"]])))
    assert isinstance(message, InputForbidden)
    assert ("COMFYQ_INPUT_ALLOW" in str(message)) is has


async def test_what_was_checked_is_what_is_connected_to() -> None:
    """A name that means something else when it is asked again gets nobody further."""
    async with serving(a=answering(content_type="image/png")) as port:
        names = Names(rebound=[["127.0.0.1"], ["10.0.0.1"]])
        by = fetcher(names, allow=["127.0.0.1"])
        assert (
            await by.fetch(
                f"http://rebound.example:{port}/a",
                tenant=DEFAULT_TENANT,
                kind="image",
                max_bytes=99,
            )
            == PNG
        )
        assert names.asked == ["rebound.example"]
        again = await refusal(f"http://rebound.example:{port}/a", by)
    assert isinstance(again, InputForbidden)


async def test_each_redirect_is_checked_afresh() -> None:
    async with serving(
        away=answering(status=302, Location="http://inside.example/secret"),
        home=answering(status=302, Location="http://169.254.169.254/latest/meta-data/"),
        file=answering(status=307, Location="file:///etc/passwd"),
    ) as port:
        names = Names(inside=[["10.0.0.1"]])
        by = fetcher(names, allow=["127.0.0.1"])
        for page in ("away", "home", "file"):
            message = await refusal(f"http://127.0.0.1:{port}/{page}", by)
            assert isinstance(message, InputForbidden), page


async def test_redirects_are_followed_but_not_for_ever() -> None:
    async def onward(request: web.Request) -> web.Response:
        left = int(request.query["left"])
        if not left:
            return web.Response(body=PNG, content_type="image/png")
        raise web.HTTPFound(f"/onward?left={left - 1}")

    async with serving(onward=onward) as port:
        by, url = fetcher(allow=["127.0.0.0/8"]), f"http://127.0.0.1:{port}/onward?left="
        assert await by.fetch(f"{url}5", tenant=DEFAULT_TENANT, kind="image", max_bytes=100) == PNG
        assert isinstance(await refusal(f"{url}6", by), InputUnavailable)


async def test_too_much_is_not_read_whatever_the_server_says() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1_000)

    async with serving(announced=answering(b"x" * 101), endless=endless) as port:
        for page in ("announced", "endless"):
            url = f"http://127.0.0.1:{port}/{page}"
            message = await refusal(url, fetcher(allow=["127.0.0.1"]))
            assert isinstance(message, InputInvalid), page
            assert "larger than 100 bytes" in str(message)


@pytest.mark.parametrize(
    ("answer", "error", "passing"),
    [
        (answering(Content_Type="text/html"), InputInvalid, False),
        (answering(Content_Type="video/mp4"), InputInvalid, False),
        (answering(Content_Encoding="gzip"), InputInvalid, False),
        (answering(status=404), InputUnavailable, False),
        (answering(status=429), InputUnavailable, True),
        (answering(status=503), InputUnavailable, True),
    ],
    ids=["page", "film", "zipped", "missing", "busy", "broken"],
)
async def test_what_servers_answer(
    answer: Handler, error: type[InputRefused], passing: bool
) -> None:
    async with serving(a=answer) as port:
        message = await refusal(f"http://127.0.0.1:{port}/a", fetcher(allow=["127.0.0.1"]))
    assert isinstance(message, error)
    assert getattr(message, "passing", False) is passing


async def test_a_server_that_dawdles_or_is_not_there_may_be_tried_again() -> None:
    given_up = asyncio.Event()

    async def dawdle(request: web.Request) -> web.Response:
        await given_up.wait()
        return web.Response(body=PNG)

    by = fetcher(allow=["127.0.0.1"])
    async with serving(a=dawdle) as port:
        late = await refusal(f"http://127.0.0.1:{port}/a", by)
        given_up.set()
    gone = await refusal(f"http://127.0.0.1:{port}/a", by)
    for message in (late, gone):
        assert isinstance(message, InputUnavailable)
        assert message.passing
