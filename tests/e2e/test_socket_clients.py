"""Every frame of the socket, by clients of different kinds, against a real server; and streams by a
browser."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.page.visit import chromium
from tests.e2e.socket_clients import OPEN, Client, blank_pages, in_browser, opened
from tests.e2e.test_keys import Commands
from tests.processes import SERVER, Processes

BROWSER = pytest.param("browser", marks=pytest.mark.browser)
CLIENTS = ("raw", "websockets", "websocket-client", BROWSER)
ENDS = ("completed", "failed", "canceled")
PROGRESS = "/ws/progress/"
QUICK = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}
LONG = {**QUICK, "steps": 90}  # there is time for a preview, wherever it runs
STREAMS = """async ([url, key, body]) => {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` }
  const ask = async (path, json) => {
    const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(json) })
    return answer.json()
  }
  const { id } = await ask("/generate", body)
  const read = (query, isEnough) => new Promise((resolve) => {
    const events = new EventSource(`${url}/generate/${id}/events${query}`), seen = []
    for (const kind of ["status", "progress"]) {
      events.addEventListener(kind, ({ data, lastEventId }) => {
        seen.push({ ...JSON.parse(data), id: Number(lastEventId) })
        if (!isEnough(seen.at(-1))) return
        events.close()
        resolve({ seen, isRefused: false })
      })
    }
    events.onerror = () => {
      if (events.readyState === EventSource.CLOSED) resolve({ seen, isRefused: true })
    }
  })
  const never = () => false
  const ticketed = async (since, isEnough) => {
    const { ticket } = await ask("/ws-ticket", { job_id: id })
    return read(`?ticket=${ticket}&since=${since}`, isEnough)
  }
  const stranger = await read("", never)
  const first = await ticketed(0, (frame) => frame.kind === "progress")
  const rest = await ticketed(first.seen.at(-1).id, never)
  const again = await ticketed(rest.seen.at(-1).id, () => true)  // an end may come twice
  const over = await ticketed((again.seen.at(-1) ?? rest.seen.at(-1)).id, never)
  return { stranger, first, rest, over }
}"""


@dataclass(frozen=True)
class Server:
    url: str
    origin: str  # of pages that may use it, and of an own server

    def post(self, path: str, body: object) -> Any:
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), kind)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def submitted(self) -> str:
        """Return the id of a new job that takes a while."""
        return str(self.post("/generate", LONG)["id"])

    @cached_property
    def socket(self) -> str:
        """The address of the socket that takes frames, by a job's own links."""
        urls = self.post("/generate", QUICK)["urls"]
        ws: str = urls["ws"]
        return ws if urls.get("ws_subscribe") else f"{ws.partition(PROGRESS)[0]}/local"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    servers = Processes(tmp_path_factory.mktemp("clients"))
    try:
        with blank_pages() as origin:
            allowed = {"COMFYQ_CORS_ORIGINS": origin.rstrip("/")}
            yield Server(servers.up(env=allowed).url, origin)
    finally:
        servers.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    if request.param == "browser":
        started: Browser = request.getfixturevalue("browser")
        with in_browser(started, server.socket, origin=server.origin) as shown:
            yield shown
        return
    with opened(request.param, server.socket) as made:
        yield made


def send(client: Client, action: str, **fields: Any) -> None:
    client.send(json.dumps({"action": action, **fields}))


def frames_to_the_end(client: Client, *job_ids: str) -> list[Any]:
    """Receive until each of the jobs has ended."""
    frames, going = list[Any](), set(job_ids)
    while going:
        frames.append(client.next())
        if frames[-1].get("status") in ENDS:
            going.discard(frames[-1]["job_id"])
    return frames


def end_of(frames: list[Any], job_id: str) -> Any:
    return next(each for each in frames if each["job_id"] == job_id and each.get("status") in ENDS)


def test_several_jobs_with_their_nodes_and_previews(client: Client, server: Server) -> None:
    send(client, "ping")
    assert client.next() == {"type": "pong"}
    job_ids = [server.submitted() for _ in range(2)]
    send(client, "subscribe", job_ids=job_ids, previews=True)
    frames = frames_to_the_end(client, *job_ids)
    assert {frame["kind"] for frame in frames} == {"status", "progress", "preview"}
    assert {frame["content_type"] for frame in frames if frame["kind"] == "preview"} == {
        "image/jpeg"
    }
    for job_id in job_ids:
        told = [each for each in frames if each["job_id"] == job_id and each["kind"] != "preview"]
        end = end_of(frames, job_id)
        assert (end["status"], end["progress"]) == ("completed", 1)
        assert end["nodes_done"] == end["nodes_total"] > 0
        assert {"node", "node_class", "eta_s", "queue_position"} <= end.keys()
        going = [each for each in told if each["kind"] == "progress"]
        assert any(each["node"] and each["node_class"] for each in going)
    send(client, "subscribe", job_id=job_ids[0], since=end_of(frames, job_ids[0])["seq"] - 1)
    while (frame := client.next())["job_id"] != job_ids[0]:
        assert frame["kind"] == "preview"  # that was under way
    assert frame["status"] == "completed"


def test_a_batch_and_no_more_of_what_is_not_followed(client: Client, server: Server) -> None:
    left = server.submitted()
    send(client, "subscribe", job_id=left)
    # Who is told that it runs was read before that: else the news may be under way for longer.
    while (frame := client.next())["kind"] != "progress":
        assert frame["job_id"] == left
    send(client, "unsubscribe", job_id=left)
    while (frame := client.next()).get("type") != "unsubscribed":
        assert frame["job_id"] == left  # it was under way
    batch_id = server.post("/generate/batch", {"requests": [QUICK] * 2})["batch_id"]
    send(client, "subscribe", batch_id=batch_id)
    frames = [client.next()]
    while not frames[-1].get("done"):
        frames.append(client.next())
    of_batch = [each for each in frames if each.get("kind") == "batch"]
    others = [each for each in frames if each not in of_batch]
    told = [each for each in others if each["kind"] != "progress"]
    assert told == [], "the end is told to followers alone"
    assert (of_batch[-1]["counts"]["completed"], of_batch[-1]["progress"]) == (2, 1)
    progress = [each["progress"] for each in of_batch]
    assert progress == sorted(progress)


def test_what_is_no_frame_is_answered(client: Client) -> None:
    for text in ("no json", '{"action": "subscribe"}', '{"action": "fly"}'):
        client.send(text)
        assert client.next()["code"] == "invalid-request"


@pytest.mark.browser
@pytest.mark.skipif(SERVER != "comfyq.cli", reason="API Gateway heeds no origin of a socket")
def test_a_page_of_another_origin_opens_no_socket(server: Server, browser: Browser) -> None:
    opening = OPEN % json.dumps(server.socket)
    with blank_pages() as elsewhere:
        page = browser.new_page()
        page.goto(elsewhere)
        assert page.evaluate(opening) is False
        page.goto(server.origin)
        assert page.evaluate(opening) is True
        page.close()


@pytest.mark.browser
@pytest.mark.skipif(SERVER != "comfyq.cli", reason="API Gateway holds no answer open")
def test_a_page_reads_streams_by_tickets(browser: Browser, tmp_path: Path) -> None:
    """Each ticket opens one: the browser, which comes back by itself after the end, is refused."""
    comfyq, servers = Commands(tmp_path), Processes(tmp_path)
    key = comfyq.key()
    try:
        with blank_pages() as origin:
            settings = {"COMFYQ_AUTH": "keys", "COMFYQ_CORS_ORIGINS": origin.rstrip("/")}
            up = servers.up(data_dir=comfyq.data_dir, env=settings)
            page = browser.new_page()
            page.goto(origin)
            read = page.evaluate(STREAMS, [up.url, key, LONG])
            page.close()
    finally:
        servers.close()
    assert read["stranger"] == read["over"] == {"seen": [], "isRefused": True}
    first, rest = read["first"], read["rest"]
    assert (first["isRefused"], rest["isRefused"]) == (False, True)
    seen = [*first["seen"], *rest["seen"]]
    assert [frame["id"] for frame in seen] == [frame["seq"] for frame in seen]
    assert [frame["seq"] for frame in seen] == sorted(frame["seq"] for frame in seen)
    ends = [frame["status"] for frame in seen if frame["status"] in ENDS]
    assert ends == ["completed"], "the ticket was used up, or the end would have come twice"
