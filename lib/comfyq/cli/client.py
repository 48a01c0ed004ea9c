"""The HTTP API as calls. Answers are the API's own JSON objects, as they came.

``comfyq.client`` sends them. It does not send them again: who sits at a terminal is told at once.
What takes long, and has begun, is done by ``patient``.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, TypeVar

import typer

from comfyq.cli.errors import (
    ANSWERED_BY,
    BrokenDownload,
    CannotStart,
    NotReached,
    Refused,
    ServerFailed,
)
from comfyq.cli.profiles.servers import DEFAULT_URL, Credential, Servers, nothing
from comfyq.cli.texts.controls import visible
from comfyq.client import calls
from comfyq.client import errors as client_errors
from comfyq.client.drivers.blocking import Driver
from comfyq.client.effects import Flow
from comfyq.client.flows.downloading import downloaded
from comfyq.client.flows.following import Fallback, Target, frames
from comfyq.client.flows.results import batch_frames
from comfyq.client.flows.submitting import stored
from comfyq.client.messages import Answer, Request
from comfyq.client.sender import Patience, Sender, object_of

LOCAL_STAGE = "local"
NOBODY = "; `comfyq up` starts a server here; --url, COMFYQ_URL or --profile names another"
OTHER_PORT = ', and `eval "$(comfyq env)"` in its folder a `comfyq up` at another port'
NAME_A_KEY = "COMFYQ_API_KEY, `comfyq --api-key KEY` or a profile (`comfyq profiles add`) names one"
AT_ONCE = Patience(give_up_s=0)
PATIENT = Patience(give_up_s=60)  # a restart of a server takes seconds

SAME_S = 10.0  # within which several requests find the same server away

Json = dict[str, Any]

ResultT = TypeVar("ResultT")


class _Waiting:
    """Tells a person once that a server is waited for, whatever is asked of it meanwhile."""

    def __init__(self) -> None:
        self._told_at = -math.inf

    def tell(self, error: client_errors.ComfyqError) -> None:
        now = time.monotonic()
        if now - self._told_at > SAME_S:
            again = f"trying again, for {PATIENT.give_up_s:g} s at most"
            typer.echo(visible(f"{error}; {again}"), err=True)
        self._told_at = now


class ApiClient:
    """One server.

    Every call raises:
        Refused: the server will not do it (4xx).
        NotReached: nobody answers, or not as comfyq would.
        ServerFailed: it cannot do it now (5xx).
    """

    def __init__(
        self, url: str, *, credential: Credential = nothing, timeout_s: float | None = None
    ) -> None:
        """``timeout_s`` is for all of its calls together."""
        self._credential = credential
        self._driver = Driver(url, credential, verify=True, http=None)
        self._sender = Sender(AT_ONCE)
        self._waiting = _Waiting()
        self._deadline = self._sender.deadline(timeout_s)
        self.on_answer: Callable[[str], object] = lambda url: None  # told who has answered

    def close(self) -> None:
        self._driver.close()

    @property
    def patient(self) -> "ApiClient":
        """Return the same server, which is waited for where it is away.

        It is for the middle of what takes long, once the server has answered.
        """
        patient = copy(self)
        patient._sender = Sender(PATIENT, on_wait=self._waiting.tell)
        return patient

    @property
    def key_headers(self) -> dict[str, str]:
        """Return what the server itself is shown: links go elsewhere too, and need no key."""
        credential = self._credential()
        return {} if credential is None else {"Authorization": f"Bearer {credential}"}

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        return self._call(calls.submit(dict(request), key=idempotency_key))

    def job(self, job_id: str) -> Json:
        return self._call(calls.job(job_id))

    def outputs(self, job_id: str, *, start: int) -> Json:
        """A page: ``outputs`` from index ``start`` on, and ``more_outputs`` if there are."""
        return self._call(calls.outputs(job_id, start=start))

    def story(self, job_id: str) -> Json:
        """The job, and all that is known of how it went."""
        return self._call(calls.story(job_id))

    def cancel(self, job_id: str) -> Json:
        return self._call(calls.cancel(job_id))

    def purge(self, job_id: str) -> Json:
        """Delete a job with its files; refused with ``job-not-ended`` while its worker stops."""
        return self._call(calls.purge(job_id))

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
        return self._call(calls.jobs(fields))

    def workflows(self) -> Json:
        """Return ``workflows``, the broken ones among them."""
        return self._call(calls.workflows())

    def workflow(self, name: str) -> Json:
        """All that is to be known for using a workflow."""
        return self._call(calls.workflow(name))

    def store(self, file: Path) -> Json:
        """The asset that a file has become; a large one goes where a signed link leads."""
        return self._run(stored(self._sender, file, deadline=self._deadline))

    def assets(self, *, limit: int, cursor: str | None = None) -> Json:
        """A page: ``assets``, newest first, and ``next_cursor``."""
        fields = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        return self._call(calls.assets(list(fields.items())))

    def delete_asset(self, asset_id: str) -> None:
        """Delete a stored file; refused with ``asset-in-use`` while a job needs it."""
        self._answer(calls.delete_asset(asset_id))

    def submit_batch(self, requests: Sequence[Any], *, idempotency_key: str) -> tuple[Json, bool]:
        """Return the batch as it was accepted, and whether that was earlier under this key."""
        request = calls.submit_batch({"requests": list(requests)}, key=idempotency_key)
        answer = self._answer(request)
        is_replayed = answer.headers.get("idempotent-replayed") == "true"
        return object_of(answer, request.expects), is_replayed

    def batch(self, batch_id: str, *, items: bool = False) -> Json:
        """A batch's summary; with ``items``, each of its requests and jobs as well."""
        return self._call(calls.batch(batch_id, items=items))

    def frames(self, target: Target, *, fallback: Fallback | None = None) -> Iterator[Json]:
        """Yield each frame of a job or batch that is news; the last one tells its end."""
        return self._emitted(frames(self._sender, target, self._deadline, fallback=fallback))

    def batch_frames(self, batch_id: str) -> Iterator[tuple[Json, Json | None]]:
        """Yield each frame of a batch, and beside it the batch with its items if any of them can
        have ended since."""
        return self._emitted(batch_frames(self._sender, batch_id, self._deadline))

    def batches(self, *, limit: int, cursor: str | None) -> Json:
        """A page: ``batches``, newest first, and ``next_cursor``."""
        fields = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        return self._call(calls.batches(list(fields.items())))

    def cancel_batch(self, batch_id: str) -> Json:
        return self._call(calls.cancel_batch(batch_id))

    def retry(self, job_id: str) -> Json:
        """The new job that does the work of one that failed or was canceled."""
        return self._call(calls.retry(job_id))

    def retry_batch(self, batch_id: str) -> Json:
        """The new batch of those jobs of a batch that failed or were canceled."""
        return self._call(calls.retry_batch(batch_id))

    def dead_letters(
        self, *, limit: int, cursor: str | None = None, tenant: str | None = None
    ) -> Json:
        """A page: ``letters``, newest first, and ``next_cursor``."""
        named = {"cursor": cursor, "tenant": tenant}
        fields = {"limit": str(limit)} | {k: v for k, v in named.items() if v is not None}
        return self._call(calls.dead_letters(list(fields.items())))

    def dead_letter(self, letter_id: str) -> Json:
        return self._call(calls.dead_letter(letter_id))

    def redrive(self, letter_id: str) -> Json:
        """``letter``, and the ``outcome`` of sending it again."""
        return self._call(calls.redrive(letter_id))

    def quota(self) -> Json:
        """Return the caller's limits, and what it has used of each."""
        return self._call(calls.quota())

    def workers(self) -> Json:
        """Return ``workers``, each with the jobs of the caller's tenant that it holds."""
        return self._call(calls.workers())

    def health(self) -> Json:
        return self._call(calls.health())

    def date(self) -> str | None:
        """Return the server's time as its `Date` header; None if there is none."""
        return self._answer(calls.health()).headers.get("date")

    @property
    def socket_url(self) -> str:
        """Return the socket URL of a server that has its sockets beside its API."""
        return f"{self._driver.url.replace('http', 'ws', 1)}/{LOCAL_STAGE}"

    def download(self, job: Json, folder: Path, *, name: str | None = None) -> list[Path]:
        """Fetch all that a job has made into ``folder``, as ``{name or job id}-{index}{suffix}``.

        A file appears whole or not at all, and is what its hash says. One that is there already is
        not fetched again; where another has its name, the job's id is added to it.
        """
        return self._run(downloaded(self._sender, job, folder, name, self._deadline))

    def _call(self, request: Request) -> Json:
        return self._run(self._sender.json(request, self._deadline))

    def _answer(self, request: Request) -> Answer:
        return self._run(self._sender.answer(request, self._deadline))

    def _run(self, flow: Flow[ResultT]) -> ResultT:
        with self._command_errors():
            result = self._driver.run(flow)
        self.on_answer(self._driver.url)
        return result

    def _emitted(self, flow: Flow[None]) -> Iterator[Any]:
        with self._command_errors():
            for emitted in self._driver.emitted(flow, lambda emitted: emitted):
                self.on_answer(self._driver.url)
                yield emitted

    @contextmanager
    def _command_errors(self) -> Iterator[None]:
        """Raise errors of the client as those that end a command."""
        try:
            yield
        except client_errors.ServerFailed as failed:
            raise ServerFailed(
                failed.status, failed.detail, retry_after_s=failed.retry_after_s
            ) from failed
        except client_errors.ApiError as refused:
            raise Refused(
                refused.status, self._told(refused), retry_after_s=refused.retry_after_s
            ) from refused
        except client_errors.BadValue as wrong:
            raise CannotStart(str(wrong)) from wrong
        except client_errors.BrokenDownload as broken:
            raise BrokenDownload(str(broken)) from broken
        except client_errors.TimedOut as over:
            raise NotReached(str(over)) from over
        except client_errors.NotReached as away:
            hint = OTHER_PORT if self._driver.url == DEFAULT_URL else ""
            raise NotReached(f"{away}{NOBODY}{hint}" if away.unsent else str(away)) from away

    def _told(self, refused: client_errors.ApiError) -> Mapping[str, Any]:
        """Return a problem in the words of a command: the server's of a key are of headers."""
        if refused.problem.get("code") != "unauthenticated":
            return refused.problem
        detail = f"{refused.detail}; " if self.key_headers else "the server asks for an API key: "
        return {**refused.problem, "detail": f"{detail}{NAME_A_KEY}"}


def client_at(ctx: typer.Context, url: str | None) -> ApiClient:
    """A client of the server that the command, or else ``comfyq`` itself, was given."""
    servers: Servers = ctx.obj
    server = servers.at(url)
    client = ApiClient(server.url, credential=server.credential)
    client.on_answer = lambda url: ctx.meta.update({ANSWERED_BY: url})
    ctx.call_on_close(client.close)
    return client
