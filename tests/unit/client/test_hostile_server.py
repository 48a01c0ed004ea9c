"""What a server answers that is wrong, or means harm: nothing of it is believed, or left behind."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from blake3 import blake3

from comfyq.client import (
    AsyncClient,
    BadValue,
    BrokenDownload,
    Client,
    NotReached,
    Patience,
    UnexpectedAnswer,
)
from tests.cells import Cells
from tests.fake_api import fake_api

URL = "http://server"
PICTURE = b"some picture"
AT_ONCE = Patience(give_up_s=0, pause_s=0.001)


def job(*outputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "a", "status": "completed", "outputs": outputs, **fields}


def output(**fields: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "filename": "a.png",
        "size": len(PICTURE),
        "blake3": blake3(PICTURE).hexdigest(),
        "url": f"{URL}/picture",
        **fields,
    }


class Server:
    """Answers with one job, and with the content of its files."""

    def __init__(self, told: dict[str, Any], content: bytes | Iterator[bytes] = PICTURE) -> None:
        self.told = told
        self.content = content
        self.more: dict[str, Any] = {"outputs": [], "more_outputs": "/more"}

    def client(self) -> Client:
        transport = httpx2.MockTransport(self._answer)
        return Client(URL, patience=AT_ONCE, http=httpx2.Client(transport=transport))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/picture":
            return httpx2.Response(200, content=self.content)
        if request.url.path.endswith("/outputs"):
            return httpx2.Response(200, json=self.more)
        return httpx2.Response(200, json=self.told)


def files_of(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


def test_names_of_files_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    names = {
        "../../evil.sh": "a-0.sh",
        "/etc/cron.d/evil": "a-0",
        "a.png/..": "a-0",
        "a.\x1b[2J": "a-0",
        "a.png\n": "a-0",
        f"a.{'x' * 300}": "a-0",
        "a\x00.png": "a-0.png",
    }
    with Cells() as cells:
        for number, (told, name) in enumerate(names.items()):
            out = tmp_path / str(number) / "out"
            with cells.cell(repr(told)):
                [file] = Server(job(output(filename=told))).client().job("a").download(out)
                assert file == out / name
                assert files_of(tmp_path / str(number)) == {"out", f"out/{name}"}


def test_an_output_that_is_none_is_not_fetched(tmp_path: Path) -> None:
    outputs: dict[str, Any] = {
        "index": output(index="/../../x"),
        "negative": output(index=-1),
        "size": output(size="12"),
        "hash": output(blake3=None),
        "no name": {name: value for name, value in output().items() if name != "filename"},
    }
    told = {name: job(each) for name, each in outputs.items()}
    told["id"] = job(output(), id="../../a")
    with Cells() as cells:
        for name, each in told.items():
            with cells.cell(name):
                with pytest.raises(BrokenDownload):
                    Server(each).client().job("a").download(tmp_path / "out")
                assert files_of(tmp_path) <= {"out"}


def test_what_does_not_arrive_as_announced_leaves_nothing(tmp_path: Path) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield bytes(1000)

    contents: dict[str, bytes | Iterator[bytes]] = {
        "other": b"SOME picture",
        "short": b"some",
        "nothing": b"",
        "endless": endless(),
    }
    with Cells() as cells:
        for name, content in contents.items():
            with cells.cell(name):
                with pytest.raises(BrokenDownload):
                    Server(job(output()), content).client().job("a").download(tmp_path)
                assert files_of(tmp_path) == set()
    assert sent < 100


def test_a_batchs_request_is_read_without_what_is_null() -> None:
    told = {"batch_id": "b", "items": [{"index": 0, "job": job()}, {"index": 1, "error": {}}]}
    first, second = Server(told).client().batch("b").items
    assert first.job is not None
    assert (first.job.id, first.error, second.job) == ("a", None, None)
    assert second.error is not None


LIES: dict[str, tuple[Any, str]] = {
    "a list": ([], "no JSON object"),
    "no status": ({"id": "a"}, "`status` is missing"),
    "null": ({**job(), "id": None}, "`id` is missing"),
    "number": ({**job(), "id": 7}, "`id` is a number, where text belongs"),
    "outputs": ({**job(), "outputs": 3}, "`outputs` is a number, where a list belongs"),
    "output": (job("a.png"), "`outputs.0` is text, where an object belongs"),  # type: ignore[arg-type]
    "progress": (job(progress="x"), "`progress` is text, where a number belongs"),
    "huge": (job(progress=10**400), "`progress` is a number that is none"),
    "labels": (job(labels=[1]), "`labels` is a list, where an object belongs"),
    "warnings": (job(warnings=[1]), "`warnings.0` is a number, where text belongs"),
    "urls": (job(urls={"self": 1}), "`urls.self` is a number"),
}


def test_a_lying_server_is_told_as_one_and_where_it_lies() -> None:
    with Cells() as cells:
        for name, (told, fault) in LIES.items():
            with cells.cell(name), pytest.raises(UnexpectedAnswer) as told_as:
                Server(told).client().job("a")
            text = str(told_as.value)
            with cells.cell(f"{name}: words"):
                assert f"the server at {URL}/generate/a answers otherwise than" in text
                assert fault in text
        with cells.cell("nested"), pytest.raises(UnexpectedAnswer, match=r"items\.0\.job\.status"):
            Server({"batch_id": "b", "items": [{"index": 0, "job": {"id": "a"}}]}).client().batch(
                "b"
            )
        with cells.cell("list"), pytest.raises(UnexpectedAnswer, match=r"jobs\.0"):
            list(Server({"jobs": ["a"]}).client().jobs())


def test_a_list_without_an_end_ends() -> None:
    told = Server(job(output(), more_outputs="/more")).client().job("a")
    assert len(told.all_outputs()) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", "a\x00"])
def test_a_name_of_the_callers_is_no_path_either(name: str, tmp_path: Path) -> None:
    done = Server(job(output())).client().job("a")
    with pytest.raises(BadValue, match="cannot begin names of files"):
        done.download(tmp_path, name=name)
    assert files_of(tmp_path) == set()


def test_what_is_no_json_is_told_before_anything_is_sent() -> None:
    with Client("http://127.0.0.1:1", patience=AT_ONCE) as client:
        for value in (float("nan"), float("inf"), "\udcff", object()):
            with pytest.raises(BadValue, match="cannot be written as JSON"):
                client.generate("flux-dev", cfg=value)


def redirecting(request: httpx2.Request) -> httpx2.Response:
    if request.url.host == "server":
        location = f"https://new{request.url.path}"
        return httpx2.Response(301, headers={"Location": location})
    return httpx2.Response(200, json=job() | {"jobs": []})


@pytest.mark.anyio
async def test_a_post_that_a_redirect_makes_a_get_was_not_done() -> None:
    transport = httpx2.MockTransport(redirecting)
    said = "POST on to https://new/generate"
    http = httpx2.Client(transport=transport, follow_redirects=True)
    with pytest.raises(NotReached, match=said) as refused:
        Client(URL, http=http).generate(prompt="a fox")
    assert refused.value.is_hopeless
    assert Client(URL, http=http).job("a").id == "a"
    async with httpx2.AsyncClient(transport=transport, follow_redirects=True) as waiting:
        with pytest.raises(NotReached, match=said):
            await AsyncClient(URL, http=waiting).generate(prompt="a fox")


@pytest.mark.anyio
async def test_a_file_that_a_redirect_leads_on_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.gif"
    file.write_bytes(b"GIF89a")
    with fake_api() as api:
        api.answer("/assets", {}, status=307)
        api.headers["/assets"] = {"Location": f"{api.url}/elsewhere"}
        api.answer("/elsewhere", {"source": "asset:a"})
        with Client(api.url) as client, pytest.raises(NotReached, match="not sent twice"):
            client.upload(file)
        async with AsyncClient(api.url) as waiting:
            with pytest.raises(NotReached, match="not sent twice"):
                await waiting.upload(file)


ASKS: tuple[Callable[[Client], Any], ...] = (
    lambda client: client.generate(prompt="a fox"),
    lambda client: client.job("a"),
    lambda client: list(client.jobs()),
    lambda client: client.generate_batch([{}]),
    lambda client: client.batch("a"),
    lambda client: list(client.batches()),
    lambda client: client.upload(b"a"),
    lambda client: client.upload(bytes(5_000_000)),
    lambda client: client.workflows(),
    lambda client: client.workflow("a"),
    lambda client: client.workers(),
    lambda client: client.health(),
    lambda client: client.keys(),
)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_an_error_of_the_client_whatever_is_asked(content: bytes) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=content))
    client = Client(URL, patience=AT_ONCE, http=httpx2.Client(transport=transport))
    for ask in ASKS:
        with pytest.raises(NotReached, match="not comfyq"):
            ask(client)


@pytest.mark.anyio
@pytest.mark.parametrize("outputs", [5, "none", [3], [{"index": "x"}], {"a": 1}])
async def test_outputs_that_are_none_are_the_servers_fault(outputs: Any, tmp_path: Path) -> None:
    server = Server({"id": "a", "status": "completed", "outputs": outputs})
    with pytest.raises(NotReached, match=r"lists an output that is none|`outputs(\.0)?` is "):
        server.client().job("a").download(tmp_path)
    more = Server(job(output(), more_outputs="/more"))
    told = f"{URL}/generate/a/outputs answers otherwise than this client expects: `outputs` is a n"
    more.more = {"outputs": 5}
    with pytest.raises(NotReached, match=told):
        more.client().job("a").download(tmp_path)
    async with (
        httpx2.AsyncClient(transport=httpx2.MockTransport(more._answer)) as http,
        AsyncClient(URL, patience=AT_ONCE, http=http) as client,
    ):
        with pytest.raises(NotReached, match=told):
            await (await client.job("a")).download(tmp_path)
    assert files_of(tmp_path) == set()


@pytest.mark.anyio
async def test_a_redirect_to_where_nobody_listens_names_that_place() -> None:
    with fake_api() as api:
        with socket.create_server(("127.0.0.1", 0)) as dead:
            there = f"http://127.0.0.1:{dead.getsockname()[1]}/generate/a"
        api.headers["/generate/a"] = {"Location": there}
        api.answer("/generate/a", {}, status=307)
        told = f"cannot reach {there}, where {api.url}/generate/a leads: nobody listens there"
        with Client(api.url, patience=AT_ONCE) as client, pytest.raises(NotReached) as away:
            client.job("a")
        assert str(away.value) == told
        async with AsyncClient(api.url, patience=AT_ONCE) as waiting:
            with pytest.raises(NotReached) as away:
                await waiting.job("a")
        assert str(away.value) == told


@pytest.mark.parametrize("wrong", ["\ud800", "a\nb: c", "é", "x" * 500 + "\r"])
def test_a_key_that_no_header_takes_is_a_bad_value(wrong: str) -> None:
    with pytest.raises(BadValue, match=r"Idempotency-Key: .* has characters that a header") as bad:
        Server(job()).client().generate("flux-dev", prompt="a", idempotency_key=wrong)
    assert len(str(bad.value)) < 250


def test_a_query_that_is_not_unicode_is_a_bad_value() -> None:
    with pytest.raises(BadValue, match=r"label: .* is not Unicode"):
        list(Server({"jobs": []}).client().jobs(labels={"a": "\ud800"}))
