"""The client of programs that may block."""

import ssl
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from comfyq.client import bodies, calls
from comfyq.client.drivers.blocking import Driver
from comfyq.client.drivers.http import Key
from comfyq.client.flows.listing import listed, query_of
from comfyq.client.flows.submitting import stored, submitted, submitted_batch
from comfyq.client.jobs import Batch, Job
from comfyq.client.messages import Json, Request
from comfyq.client.models.service import (
    ApiKey,
    Asset,
    Health,
    NewApiKey,
    Quota,
    Worker,
    Workflow,
    WorkflowSummary,
)
from comfyq.client.sender import Patience, Sender

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A server of comfyq, for programs that may block; threads may share it.

    Whatever is lost on the way is sent again, and makes nothing twice; a server that is away, or
    that says "later", is waited for as long as ``patience`` says.

    >>> with Client(url) as client:
    ...     job = client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2)
    ...     files = job.wait(timeout_s=60).download(folder)
    >>> len(files)
    1
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: Key = None,
        *,
        patience: Patience | None = None,
        verify: ssl.SSLContext | bool = True,
        http: httpx2.Client | None = None,
    ) -> None:
        """``key`` is an API key or token, or returns one before each request. ``http`` is a client
        of httpx2 with settings of your own, which stays yours to close."""
        self._driver = Driver(url, key, verify=verify, http=http)
        self._sender = Sender(patience or Patience())

    @property
    def url(self) -> str:
        """Return where the server answers."""
        return self._driver.url

    def close(self) -> None:
        """Close its connections."""
        self._driver.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def generate(
        self,
        workflow: str | None = None,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
        **parameters: Any,
    ) -> Job:
        """Submit a generation: a workflow's name and its parameters, or ``graph=…``.

        A pathlib.Path among the values is a file of this machine, which is stored first; so is an
        Output of another job. An Asset is what `upload` has stored.
        ``values`` are for parameters whose names are no names of Python, or are this method's.

        Raises:
            InvalidRequest: ``fields`` names every bad parameter.
            RateLimited, Unauthenticated, Forbidden, NotReached.
        """
        body = bodies.generation(workflow, values, parameters)
        deadline = self._sender.deadline(timeout_s)
        flow = submitted(self._sender, body, idempotency_key, deadline)
        return self._job(self._driver.run(flow))

    def job(self, job_id: str) -> Job:
        """Return a job by its id.

        >>> client.job("no-such-job")
        Traceback (most recent call last):
        comfyq.client.errors.NotFound: job-not-found (404): there is no job no-such-job
        """
        return self._job(self.call(calls.job(job_id)))

    def jobs(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        batch: str | None = None,
        labels: Mapping[str, str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int | None = None,
    ) -> Generator[Job, None, None]:
        """Yield your jobs, newest first, page by page.

        >>> client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2).wait().status
        'completed'
        >>> [job.data.workflow for job in client.jobs(status="completed", limit=1)]
        ['flux-dev']
        """
        query = query_of(
            labels,
            status=status,
            workflow=workflow,
            batch=batch,
            created_after=created_after,
            created_before=created_before,
        )
        flow = listed(self._sender, calls.jobs, "jobs", query, limit, self._sender.deadline(None))
        return self._driver.emitted(flow, self._job)

    def generate_batch(
        self,
        requests: Sequence[Mapping[str, Any]] | None = None,
        *,
        request: Mapping[str, Any] | None = None,
        product: Mapping[str, Sequence[Any]] | None = None,
        webhook_url: str | None = None,
        webhook_events: Sequence[str] | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Batch:
        """Submit up to 500 generations: each one for itself, or one for each combination.

        ``requests`` are as ``generate`` takes them, with ``workflow`` among their values;
        ``product`` has values by parameter, and ``request`` what all of them share. One that cannot
        be run does not sink the others.
        """
        body = bodies.batch(requests, request, product, webhook_url, webhook_events)
        deadline = self._sender.deadline(timeout_s)
        flow = submitted_batch(self._sender, body, idempotency_key, deadline)
        return self._batch(self._driver.run(flow))

    def batch(self, batch_id: str) -> Batch:
        """Return a batch by its id."""
        return self._batch(self.call(calls.batch(batch_id, items=True)))

    def batches(self, *, limit: int | None = None) -> Generator[Batch, None, None]:
        """Yield your batches, newest first; ``refresh`` tells how far one is."""
        flow = listed(
            self._sender, calls.batches, "batches", [], limit, self._sender.deadline(None)
        )
        return self._driver.emitted(flow, self._batch)

    def upload(
        self,
        content: str | Path | bytes,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
    ) -> Asset:
        """Store a file, named by its path, or bytes; a request takes its ``source``.

        >>> client.upload(b"a picture, say", filename="fox.png").filename
        'fox.png'
        """
        flow = stored(
            self._sender,
            Path(content) if isinstance(content, str) else content,
            filename=filename,
            content_type=content_type,
            deadline=self._sender.deadline(timeout_s),
        )
        return Asset.read(self._driver.run(flow))

    def assets(self, *, limit: int | None = None) -> Generator[Asset, None, None]:
        """Yield your stored files, newest first, page by page.

        >>> client.upload(b"a picture, say", filename="fox.png").size
        14
        >>> [file.filename for file in client.assets(limit=1)]
        ['fox.png']
        """
        flow = listed(self._sender, calls.assets, "assets", [], limit, self._sender.deadline(None))
        return self._driver.emitted(flow, Asset.read)

    def delete_asset(self, asset_id: str) -> None:
        """Delete a stored file; Conflict while a job needs it."""
        flow = self._sender.answer(calls.delete_asset(asset_id), self._sender.deadline(None))
        self._driver.run(flow)

    def workflows(self) -> Sequence[WorkflowSummary]:
        """Return the workflows, the broken ones among them.

        >>> "flux-dev" in [workflow.name for workflow in client.workflows()]
        True
        """
        return [WorkflowSummary.read(e) for e in self.call(calls.workflows())["workflows"]]

    def workflow(self, name: str) -> Workflow:
        """Return all that is to be known for using a workflow.

        >>> sorted(client.workflow("flux-dev").parameters["required"])
        ['prompt']
        """
        return Workflow.read(self.call(calls.workflow(name)))

    def workers(self) -> Sequence[Worker]:
        """Return the workers, for operators."""
        return [Worker.read(each) for each in self.call(calls.workers())["workers"]]

    def health(self) -> Health:
        """Return whether a job would run now.

        >>> client.health().status
        'healthy'
        """
        return Health.read(self.call(calls.health()))

    def quota(self) -> Quota:
        """Return what you may use, and what you have used of it."""
        return Quota.read(self.call(calls.quota()))

    def keys(self) -> Sequence[ApiKey]:
        """Return the API keys of your tenant, for administrators."""
        return [ApiKey.read(each) for each in self.call(calls.keys())["keys"]]

    def create_key(
        self,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        tenant: str | None = None,
        expires_in_s: int | None = None,
        requests_per_minute: int | None = None,
    ) -> NewApiKey:
        """Make an API key; ``key`` of what is returned is told this once."""
        body = bodies.key(name, scopes, tenant, expires_in_s, requests_per_minute)
        return NewApiKey.read(self.call(calls.create_key(body)))

    def revoke_key(self, key_id: str) -> ApiKey:
        """Revoke an API key: it lets nobody in any more."""
        return ApiKey.read(self.call(calls.revoke_key(key_id)))

    def call(self, request: Request, *, timeout_s: float | None = None) -> Json:
        """Return the JSON that a call of the API answers; ``comfyq.client.calls`` has most."""
        return self._driver.run(self._sender.json(request, self._sender.deadline(timeout_s)))

    def _job(self, told: Mapping[str, Any]) -> Job:
        return Job(told, self._driver, self._sender)

    def _batch(self, told: Mapping[str, Any]) -> Batch:
        return Batch(told, self._driver, self._sender)
