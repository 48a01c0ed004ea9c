"""A run of the Comfy API v2 in one process, by the official SDK, held against its description.

Each part of it makes a server of its own, so that a fault can be put in before, and raises if any
answer is not as the contract has it, or as the SDK takes it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
from blake3 import blake3
from comfy_low.errors import ApiError
from comfy_low.transport import AsyncComfyLow
from comfy_sdk import AsyncComfy, Workflow

from comfyq.domain import job as jobs
from comfyq.domain.job.progress import Progress
from comfyq.edges.api.bodies import MAX_BODY_BYTES
from tests.api_lab import ApiLab, output
from tests.comfy_contract import Contract
from tests.comfy_lab import ASSETS, GRAPH, JOBS
from tests.event_lab import EventLab
from tests.fake_authenticator import with_scopes

ORIGIN = "http://lab:8000"
CONTENT = b"\x89PNG\r\n\x1a\n a fox"
DIGEST = blake3(CONTENT).hexdigest()
HASH = f"blake3:{DIGEST}"
PARTNER_KEY = "comfyui-s3cret-0123456789"
HTTPS_OWN = {405, 413}  # which the contract does not name; its envelope is asked for all the same
MADE = output(size=len(CONTENT))

Part = Callable[[Contract], Awaitable[None]]


class Client:
    """The SDK with a server in the same process; everything that it is told is checked."""

    def __init__(self, lab: ApiLab, contract: Contract) -> None:
        self.sdk = AsyncComfy(api_key="a-key")
        self.told = ""
        self._contract = contract
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(lab.app),
            base_url=ORIGIN,
            follow_redirects=True,
            event_hooks={"response": [self._check]},
        )
        self.low._client = self.http

    @property
    def low(self) -> AsyncComfyLow:
        return self.sdk._low

    async def refused(self, ask: Awaitable[object], status: int, code: str) -> None:
        """Raise AssertionError unless a request is refused like that."""
        error: ApiError | None = None
        try:
            await ask
        except ApiError as raised:
            error = raised
        assert error is not None, f"not refused with {status} {code}"
        assert (error.http_status, error.code) == (status, code), error

    async def sent(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send what the SDK would not; raise ApiError as it does."""
        answer = await self.http.request(method, path, **request)
        if not answer.is_success:
            self.low._p._raise_for_response(answer)
        return answer

    async def _check(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.told += answer.text
        if answer.status_code not in HTTPS_OWN:
            self._contract.check(answer)
        if answer.is_error and answer.request.method != "HEAD":
            self._contract.check_error(answer)


@asynccontextmanager
async def client_of(lab: ApiLab, contract: Contract) -> AsyncIterator[Client]:
    client = Client(lab, contract)
    try:
        yield client
    finally:
        await client.http.aclose()


async def run_a_job(contract: Contract) -> None:
    """From its submission by its events to its outputs."""
    lab = EventLab()
    async with client_of(lab, contract) as client:
        job = await client.sdk.submit(Workflow(GRAPH), metadata={"a": "b"}, api_key=PARTNER_KEY)
        assert job.id == str(UUID(job.id)), "canonical, in lower case"
        assert job.status == "queued"
        assert PARTNER_KEY not in str(lab.table._items)
        await lab.start(job.id)
        await lab.advance(job.id, Progress(1.0, 5, 10, "KSampler", "3", 1, 2))
        assert (await client.low.get_job(job.id)).status.value == "running"
        await lab.announce(await lab.change(job.id, partial(jobs.succeed, token=1), outputs=[MADE]))
        lab.store(MADE, CONTENT)
        events = [raw async for raw in client.low.get_job_events(job.id)]
        for raw in events:
            contract.check_event(raw.event, raw.data)
        assert [raw.event for raw in events] == ["progress", "output", "status"]
        assert events[-1].data["status"] == "succeeded"
        ended = await client.sdk.jobs.get(job.id)
        assert ended.status == "succeeded", "as it was told"
        assert await ended.outputs[0].to_bytes() == CONTENT
        assert await ended.outputs[0].to_bytes(range=(1, 3)) == CONTENT[1:4]
        assert (await ended.get_workflow()).graph == GRAPH
        later = await client.low.post_jobs(loading(ended.outputs[0].id))
        assert later.status.value == "queued", "an output is an asset, in graphs too"
        listed = [each.id async for each in client.sdk.list_jobs(metadata={"a": "b"})]
        assert listed == [job.id]
        stopped = await client.sdk.submit(Workflow(GRAPH))
        await lab.start(stopped.id)
        assert (await stopped.cancel()).status == "canceling"
        await lab.change(stopped.id, partial(jobs.confirm_cancel, token=1))
        assert (await stopped.cancel()).status == "canceled"
    assert PARTNER_KEY not in client.told
    assert (f"JOB#{job.id}", "PARTNER") not in lab.table._items


async def run_assets(contract: Contract) -> None:
    """From storing a file to its deletion, which a job holds up."""
    lab = EventLab()
    async with client_of(lab, contract) as client:
        low = client.low
        announced = {"name": "a.png", "content_type": "image/png", "size_bytes": len(CONTENT)}
        await client.sent("POST", "/assets/uploads", json=announced | {"blake3": DIGEST})
        assert not await low.head_asset_by_hash(HASH), "nothing has arrived"
        await client.refused(low.asset_from_hash(HASH), 404, "blob_not_found")
        other = f"blake3:{'0' * 64}"
        await client.refused(stored(client, expected_hash=other), 409, "hash_mismatch")
        first = await stored(client, expected_hash=HASH)
        again = await stored(client)
        assert (first.created_new, again.created_new, again.id) == (True, False, first.id)
        assert await low.head_asset_by_hash(HASH)
        await client.sent("HEAD", f"{ASSETS}/by-hash/{HASH.replace(':', '%3A')}")
        assert (await low.asset_from_hash(HASH)).id == first.id
        assert (await low.get_asset(first.id)).size_bytes == len(CONTENT)
        async with low.get_asset_content(first.id, range=(0, 3)) as content:
            assert await content.aread() == CONTENT[:4]
        job = await low.post_jobs(loading(first.id))
        await client.refused(low.delete_asset(first.id), 409, "asset_in_use")
        await low.cancel_job(job.id)
        await low.delete_asset(first.id)
        await client.refused(low.delete_asset(first.id), 404, "not_found")
        assert not await low.head_asset_by_hash(HASH)


async def stored(client: Client, *, expected_hash: str | None = None) -> Any:
    fields = {"content_type": "image/png", "file_path": "a.png"}
    if expected_hash is not None:
        fields["expected_hash"] = expected_hash
    files = {"file": ("a.png", CONTENT, "image/png")}
    answer = await client.sent("POST", ASSETS, files=files, data=fields)
    model = await client.low.get_asset(answer.json()["id"])
    is_new = answer.json()["created_new"]
    assert answer.status_code == (201 if is_new else 200)
    return model.model_copy(update={"created_new": is_new})


def loading(asset_id: str) -> dict[str, Any]:
    reference = {"__type": "core/ASSET", "info": {"id": asset_id}}
    return GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": reference}}}


async def run_submissions(contract: Contract) -> None:
    """Those that are refused, and the keys that may be used again, or not."""
    async with client_of(EventLab(), contract) as client:
        low, nobody = client.low, str(uuid4())

        def post(graph: Mapping[str, Any], key: str) -> Awaitable[object]:
            return low.post_jobs(dict(graph), idempotency_key=key)

        broken = {"9": GRAPH["9"]}
        editor = {"nodes": [{"id": 3, "type": "EmptyImage"}], "links": [], "last_node_id": 3}
        for graph, code in (
            ({}, "invalid_workflow"),
            (broken, "invalid_workflow"),
            (editor, "workflow_format_ui"),
            (loading(nobody), "missing_asset"),
            (loading("none"), "missing_asset"),
        ):
            await client.refused(post(graph, "k"), 422, code)
        await post(GRAPH, "k")
        for graph in (GRAPH, broken | GRAPH | {"10": GRAPH["3"]}):
            await client.refused(post(graph, "k"), 422, "idempotency_key_reuse")
        for reserved in ("webhook_url", "inputs"):
            asked = client.sent("POST", JOBS, json={"workflow": GRAPH, reserved: "x"})
            await client.refused(asked, 422, "invalid_request")
        assert len([each async for each in client.sdk.list_jobs()]) == 1


async def run_into_errors(contract: Contract) -> None:
    """What FastAPI would answer in words of its own."""
    nobody = str(uuid4())
    async with client_of(ApiLab(), contract) as client:
        low = client.low
        await client.refused(low.get_job(nobody), 404, "not_found")
        await client.refused(low.get_asset(nobody), 404, "not_found")
        await client.refused(client.sent("GET", "/api/v2/nowhere"), 404, "not_found")
        await client.refused(client.sent("PUT", JOBS), 405, "method_not_allowed")
        await client.refused(client.sent("POST", JOBS, json={}), 422, "invalid_request")
        large = client.sent("POST", JOBS, json={"workflow": {"9": "x" * MAX_BODY_BYTES}})
        await client.refused(large, 413, "too_large")
        job = await low.post_jobs(GRAPH)
        await client.refused(read(low, job.id), 501, "not_implemented")
    async with client_of(ApiLab(COMFYQ_AUTH="keys"), contract) as client:
        await client.refused(client.low.get_job(nobody), 401, "unauthorized")
        await client.refused(client.low.post_jobs(GRAPH), 401, "unauthorized")
    async with client_of(ApiLab(authenticator=with_scopes()), contract) as client:
        await client.refused(client.low.get_job(nobody), 403, "forbidden")
        await client.refused(client.low.post_jobs(GRAPH), 403, "forbidden")


async def read(low: AsyncComfyLow, job_id: str) -> None:
    async for _ in low.get_job_events(job_id):
        raise AssertionError("there is nothing to read")


async def run_into_limits(contract: Contract) -> None:
    for lab, code in (
        (ApiLab(COMFYQ_WAITING_JOBS=1), "queue_full"),
        (ApiLab(COMFYQ_REQUESTS_PER_MINUTE=1), "rate_limited"),
    ):
        async with client_of(lab, contract) as client:
            await client.low.post_jobs(GRAPH, idempotency_key="a")
            again = client.low.post_jobs(GRAPH, idempotency_key="b")
            await client.refused(again, 429, code)
