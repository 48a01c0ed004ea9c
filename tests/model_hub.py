"""Servers of models on this machine: the two hubs' protocols, a store of bytes, and their faults.

What they answer is what Hugging Face and Civitai answer: see the adapters' modules for where that
is written down.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LATER = "beef" + "0" * 36
TOKEN = "hf_verysecret"
PIECE = 16 * 1024
WAIT_S = 60.0
PAGE = b"<!doctype html><title>Sign in</title>"


def safetensors(count: int = 200_000, *, seed: str = "a") -> bytes:
    """Make a model of one tensor of that many bytes."""
    tensor = {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}
    header = json.dumps({"__metadata__": {"seed": seed}, "weight": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + (seed.encode() * count)[:count]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request for bytes meets instead of them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # None: the file's own
    cut: int | None = None  # after so many bytes the connection ends
    unsized: bool = False  # and nothing said how many there would be
    stall: bool = False  # and it does not even end
    no_ranges: bool = False


NONE = Fault()


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Message


class ModelHub(ThreadingHTTPServer):
    """Both hubs in one; files are redirected to ``cdn``, which is another server, if there is one.

    ``faults`` are taken by requests for bytes, one each.
    """

    daemon_threads = True

    def __init__(self, cdn: "ModelHub | None" = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cdn = cdn
        self.files: dict[str, bytes] = {}  # by the path of their bytes
        self.resolved: dict[str, tuple[str, bytes]] = {}  # by path of /resolve/, with the commit
        self.versions: dict[str, Any] = {}
        self.moved: dict[str, str] = {}
        self.gated: set[str] = set()  # paths of bytes that want a token
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.stalled, self.goes_on = Event(), Event()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def bytes_asked(self) -> list[Asked]:
        return [each for each in self.asked if each.path.startswith("/bytes/")]

    def put(self, name: str, content: bytes) -> str:
        """Serve bytes; return their URL."""
        self.files[f"/bytes/{name}"] = content
        return f"{self.url}/bytes/{name}"

    def repository(
        self, repository: str, path: str, content: bytes, *, revision: str = "main"
    ) -> str:
        """Put a file into a repository; return its source."""
        for name in (revision, COMMIT):
            self.resolved[f"/{repository}/resolve/{name}/{path}"] = (COMMIT, content)
        (self.cdn or self).put(sha256(content), content)
        return f"hf:{repository}/{path}@{revision}"

    def version(self, number: int, files: Mapping[str, bytes], *, hashed: bool = True) -> str:
        """Publish a version at Civitai, whose first file is the primary one."""
        entries = []
        for place, (name, content) in enumerate(files.items()):
            path = f"/api/download/models/{number}" + ("" if place == 0 else f"?type={place}")
            self.moved[path] = (self.cdn or self).put(sha256(content), content)
            entries.append(
                {
                    "name": name,
                    "type": "Model",
                    "sizeKB": round(len(content) / 1024, 2),
                    "hashes": {"SHA256": sha256(content).upper(), "AutoV2": "0"} if hashed else {},
                    "downloadUrl": f"{self.url}{path}",
                    "primary": place == 0,
                }
            )
        self.versions[f"/api/v1/model-versions/{number}"] = {"id": number, "files": entries}
        return f"civitai:{number}"


class _Handler(BaseHTTPRequestHandler):
    server: ModelHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.server, self.path
        hub.asked.append(Asked(self.command, path, self.headers))
        if path in hub.gated and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(
                401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}
            )
        elif path in hub.moved:
            self._send(307, {"Location": hub.moved[path]})
        elif unquote(path) in hub.resolved:
            self._resolve(*hub.resolved[unquote(path)])
        elif path in hub.versions:
            self._send(
                200, {"Content-Type": "application/json"}, json.dumps(hub.versions[path]).encode()
            )
        elif urlsplit(path).path in hub.files:
            self._bytes(hub.files[urlsplit(path).path], hub.faults.pop(0) if hub.faults else NONE)
        else:
            self._send(404, {"X-Error-Code": "EntryNotFound"})

    def _resolve(self, commit: str, content: bytes) -> None:
        """Answer as for a file in LFS; small files of git have the hash of a blob instead."""
        digest, cdn = sha256(content), self.server.cdn or self.server
        if len(content) < 1_000:
            blob = hashlib.sha1(b"blob " + content, usedforsecurity=False).hexdigest()
            self._send(200, {"X-Repo-Commit": commit, "ETag": f'"{blob}"'}, content)
            return
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-ETag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
            "ETag": f'"{digest}"',
            "Location": f"{cdn.url}/bytes/{digest}?Signature=signed",
        }
        self._send(302, headers)

    def _bytes(self, content: bytes, fault: Fault) -> None:
        if fault.status != 200:
            self._send(fault.status, fault.headers, fault.body or b"")
            return
        body, etag = fault.body if fault.body is not None else content, f'"{sha256(content)}"'
        begin, status, headers = 0, 200, {"ETag": etag, **fault.headers}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if asked and not fault.no_ranges and self.headers.get("If-Range", etag) == etag:
            begin, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        self._send(status, headers, body[begin:], fault=fault)

    def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        fault: Fault = NONE,
    ) -> None:
        self.send_response(status)
        size = {} if fault.unsized else {"Content-Length": str(len(body))}
        for name, value in {**size, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = body if fault.cut is None else body[: fault.cut]
        for start in range(0, len(sent), PIECE):
            self.wfile.write(sent[start : start + PIECE])
        self.wfile.flush()
        if fault.stall:
            self.server.stalled.set()
            self.server.goes_on.wait(WAIT_S)
        self.close_connection = True

    def handle(self) -> None:
        with suppress(ConnectionError):  # who asked has gone
            super().handle()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hub_of(cdn: ModelHub | None = None) -> Iterator[ModelHub]:
    with ModelHub(cdn) as hub:
        thread = Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            hub.goes_on.set()
            hub.shutdown()
            thread.join()


@contextmanager
def hub_with_cdn() -> Iterator[ModelHub]:
    with hub_of() as cdn, hub_of(cdn) as hub:
        yield hub


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.01)
