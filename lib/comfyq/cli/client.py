"""The HTTP API as calls. Answers are the API's own JSON objects, as they came."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
import urllib3

from comfyq.cli.errors import NotReached, Refused, ServerFailed
from comfyq.cli.profiles.servers import DEFAULT_URL, Credential, Servers, nothing

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 40.0  # API Gateway lets a request take 29 s
CHUNK_BYTES = 64 * 1024
LOCAL_STAGE = "local"
ELSEWHERE = '; a `comfyq up` at another port is named by `eval "$(comfyq env)"` in its folder'

Json = dict[str, Any]


class ApiClient:
    """One server.

    Every call raises:
        Refused: the server will not do it (4xx).
        NotReached: nobody answers, or not as comfyq would.
        ServerFailed: it cannot do it now (5xx).
    """

    def __init__(self, url: str, *, credential: Credential = nothing) -> None:
        self._url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._credential = credential
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            # Retry-After is left to the caller: else a 503 that has it would lose its reason.
            retries=urllib3.Retry(
                total=3,
                connect=0,
                read=0,
                status=0,
                other=0,
                redirect=3,
                respect_retry_after_header=False,
            ),
        )

    def close(self) -> None:
        self._pool.clear()

    @property
    def key_headers(self) -> dict[str, str]:
        """Return what the server itself is shown: links go elsewhere too, and need no key."""
        credential = self._credential()
        return {} if credential is None else {"Authorization": f"Bearer {credential}"}

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", "/generate", json=dict(request), headers=headers)

    def job(self, job_id: str) -> Json:
        return self._call("GET", _path(job_id))

    def outputs(self, job_id: str, *, start: int) -> Json:
        """A page: ``outputs`` from index ``start`` on, and ``more_outputs`` if there are."""
        return self._call("GET", f"{_path(job_id)}/outputs", fields={"start": str(start)})

    def story(self, job_id: str) -> Json:
        """The job, and all that is known of how it went."""
        return self._call("GET", f"{_path(job_id)}/story")

    def cancel(self, job_id: str) -> Json:
        return self._call("DELETE", _path(job_id))

    def purge(self, job_id: str) -> Json:
        """Delete a job with its files; refused with ``job-not-ended`` while its worker stops."""
        return self._call("DELETE", _path(job_id), fields={"purge": "true"})

    def jobs(
        self,
        *,
        limit: int,
        cursor: str | None,
        labels: Sequence[str] = (),
        **narrowed: str | None,
    ) -> Json:
        """A page: ``jobs``, newest first, and ``next_cursor``; ``narrowed`` as the API's query."""
        asked = {"limit": str(limit), "cursor": cursor, **narrowed}
        fields = [(name, value) for name, value in asked.items() if value is not None]
        fields += [("label", label) for label in labels]
        return self._call("GET", "/generate", fields=fields)

    def workflows(self) -> Json:
        """Return ``workflows``, the broken ones among them."""
        return self._call("GET", "/workflows")

    def workflow(self, name: str) -> Json:
        """All that is to be known for using a workflow."""
        return self._call("GET", f"/workflows/{quote(name, safe='')}")

    def store(self, file: Path, *, content_type: str) -> Json:
        """The asset that a file has become."""
        with file.open("rb") as content:
            return self._call(
                "POST",
                f"/assets?filename={quote(file.name, safe='')}",
                body=content,
                headers={"Content-Type": content_type, "Content-Length": _size(file)},
            )

    def offer_upload(self, announced: Mapping[str, Any]) -> Json:
        """Announce a file; the answer says where to send it."""
        return self._call("POST", "/assets/uploads", json=dict(announced))

    def send(self, offer: Json, file: Path) -> None:
        """Send a file where it was offered to."""
        with file.open("rb") as content:
            answer = self._request(
                offer["method"], offer["url"], body=content, headers=offer["headers"]
            )
        if answer.status >= 300:
            raise NotReached(f"the storage did not take {file.name}: HTTP {answer.status}")

    def complete_upload(self, upload_id: str) -> Json:
        """The asset that it has become."""
        return self._call("POST", f"/assets/uploads/{quote(upload_id, safe='')}/complete")

    def submit_batch(self, requests: Sequence[Any], *, idempotency_key: str) -> tuple[Json, bool]:
        """Return the batch as it was accepted, and whether that was earlier under this key."""
        headers = {"Idempotency-Key": idempotency_key}
        body = {"requests": list(requests)}
        batch, answered = self._answer("POST", "/generate/batch", json=body, headers=headers)
        return batch, answered.get("idempotent-replayed") == "true"

    def batch(self, batch_id: str, *, items: bool = False) -> Json:
        """A batch's summary; with ``items``, each of its requests and jobs as well."""
        fields = {"items": "true"} if items else {}
        return self._call("GET", _batch_path(batch_id), fields=fields)

    def batches(self, *, limit: int, cursor: str | None) -> Json:
        """A page: ``batches``, newest first, and ``next_cursor``."""
        fields = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        return self._call("GET", "/generate/batch", fields=fields)

    def cancel_batch(self, batch_id: str) -> Json:
        return self._call("DELETE", _batch_path(batch_id))

    def retry(self, job_id: str) -> Json:
        """The new job that does the work of one that failed or was canceled."""
        return self._call("POST", f"{_path(job_id)}/retry")

    def retry_batch(self, batch_id: str) -> Json:
        """The new batch of those jobs of a batch that failed or were canceled."""
        return self._call("POST", f"{_batch_path(batch_id)}/retry")

    def dead_letters(
        self, *, limit: int, cursor: str | None = None, tenant: str | None = None
    ) -> Json:
        """A page: ``letters``, newest first, and ``next_cursor``."""
        named = {"cursor": cursor, "tenant": tenant}
        fields = {"limit": str(limit)} | {k: v for k, v in named.items() if v is not None}
        return self._call("GET", "/dead", fields=fields)

    def dead_letter(self, letter_id: str) -> Json:
        return self._call("GET", f"/dead/{quote(letter_id, safe='')}")

    def redrive(self, letter_id: str) -> Json:
        """``letter``, and the ``outcome`` of sending it again."""
        return self._call("POST", f"/dead/{quote(letter_id, safe='')}/redrive")

    def quota(self) -> Json:
        """Return the caller's limits, and what it has used of each."""
        return self._call("GET", "/quota")

    def health(self) -> Json:
        return self._call("GET", "/health")

    def date(self) -> str | None:
        """Return the server's time as its `Date` header; None if there is none."""
        return self._request("GET", f"{self._url}/health").headers.get("date")

    @property
    def socket_url(self) -> str:
        """Return the socket URL of a server that has its sockets beside its API."""
        return f"{self._url.replace('http', 'ws', 1)}/{LOCAL_STAGE}"

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """The content behind a link, in chunks, wherever it is redirected to."""
        with self._request("GET", url, preload_content=False) as answer:
            if answer.status >= 300:
                _refuse(answer)
            try:
                yield answer.stream(CHUNK_BYTES)
            except urllib3.exceptions.HTTPError as cut:
                raise NotReached(f"the download broke off: {_reason(cut)}") from cut

    def _call(self, method: str, path: str, **how: Any) -> Json:
        return self._answer(method, path, **how)[0]

    def _answer(self, method: str, path: str, **how: Any) -> tuple[Json, Mapping[str, str]]:
        """Return the body and the headers of an answer."""
        headers = {**self.key_headers, **how.pop("headers", {})}
        answer = self._request(method, self._url + path, headers=headers, **how)
        if answer.status >= 300:
            _refuse(answer)
        body = _object(answer.data)
        if body is None:
            raise NotReached(f"{self._url} answers, but it is not comfyq")
        return body, answer.headers

    def _request(self, method: str, url: str, **how: Any) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(method, url, **how)
        except (urllib3.exceptions.HTTPError, UnicodeError) as away:
            hint = ELSEWHERE if self._url == DEFAULT_URL else ""
            raise NotReached(f"cannot reach {url}: {_reason(away)}{hint}") from away


def _size(file: Path) -> str:
    return str(file.stat().st_size)


def client_at(ctx: typer.Context, url: str | None) -> ApiClient:
    """A client of the server that the command, or else ``comfyq`` itself, was given."""
    servers: Servers = ctx.obj
    server = servers.at(url)
    client = ApiClient(server.url, credential=server.credential)
    ctx.call_on_close(client.close)
    return client


def _path(job_id: str) -> str:
    return f"/generate/{quote(job_id, safe='')}"


def _batch_path(batch_id: str) -> str:
    return f"/generate/batch/{quote(batch_id, safe='')}"


def _refuse(answer: urllib3.BaseHTTPResponse) -> None:
    problem = _object(answer.data) or {"title": answer.reason}
    again = answer.headers.get("retry-after", "")
    retry_after_s = int(again) if again.isascii() and again.isdigit() else None  # it may be a date
    if answer.status >= 500:
        detail = problem.get("detail") or problem.get("title")
        raise ServerFailed(answer.status, str(detail), retry_after_s=retry_after_s)
    raise Refused(answer.status, problem, retry_after_s=retry_after_s)


def _object(data: bytes) -> Json | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _reason(error: Exception) -> str:
    """urllib3 wraps the reason, and puts the address in front of it."""
    cause = getattr(error, "reason", None) or error
    return str(cause).rpartition("object at 0x")[2].partition(": ")[2] or str(cause)
