"""The Lambda function of the HTTP API behind a server that speaks HTTP, as API Gateway is."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from starlette.requests import Request

from infra.aws_local.http_events import event_of, response_of
from tests.processes import ROOT

DRIVER = """
import importlib, json, sys
handler = importlib.import_module("functions.api.handler").handler
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)), flush=True)
"""


class LambdaFront(ThreadingHTTPServer):
    """Asks one execution environment, which answers one request at a time."""

    daemon_threads = True

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lock = Lock()
        self._function = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(env),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ask(self, event: Mapping[str, Any]) -> Any:
        assert self._function.stdin is not None
        assert self._function.stdout is not None
        with self._lock:
            self._function.stdin.write(json.dumps(event) + "\n")
            self._function.stdin.flush()
            for line in self._function.stdout:
                answer = json.loads(line)
                if "statusCode" in answer:  # metrics are printed before
                    return answer
        raise AssertionError("the function has ended")

    def end(self) -> None:
        self._function.kill()
        self._function.communicate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _ask(self) -> None:
        assert isinstance(self.server, LambdaFront)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        answer = self.server.ask(event_of(Request(self._scope()), body, api_id="api"))
        response = response_of(answer)
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(bytes(response.body))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _ask

    def _scope(self) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        return {
            "type": "http",
            "method": self.command,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "client": self.client_address,
            "server": self.server.server_address,
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in self.headers.items()
            ],
        }

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def lambda_front(env: Mapping[str, str]) -> Iterator[LambdaFront]:
    with LambdaFront(env) as front:
        thread = Thread(target=front.serve_forever)
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()
            front.end()
