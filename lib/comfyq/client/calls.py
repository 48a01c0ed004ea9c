"""The calls of the API."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from comfyq.client.errors import BadValue
from comfyq.client.messages import Request
from comfyq.client.shapes import (
    API_KEY,
    ASSET,
    BATCH,
    BATCH_WITH_ITEMS,
    HEALTH,
    JOB,
    NEW_KEY,
    OBJECT,
    OFFER,
    QUOTA,
    REDRIVEN,
    STORED,
    SUMMARY,
    WORKFLOW,
    page_of,
)

MAX_HELD_S = 20  # for so long a server holds a request back until its job has ended
SLASHES = frozenset("/\\")  # in an id: it would name another resource
SILENCE_S = 45.0  # of a stream; servers say every 15 s that they are there


def submit(body: Any, *, key: str | None = None) -> Request:
    return Request(
        method="POST",
        target="/generate",
        json=body,
        headers=_keyed(key),
        repeatable=bool(key),
        expects=JOB,
    )


def job(job_id: str, *, wait_s: int = 0) -> Request:
    """``wait_s``: answer when the job has ended, or after so long."""
    return Request(method="GET", target=_job(job_id), headers=_held(wait_s), expects=JOB)


def jobs(query: Sequence[tuple[str, str]]) -> Request:
    return Request(method="GET", target="/generate", query=query, expects=page_of("jobs", JOB))


def outputs(job_id: str, *, start: int) -> Request:
    return Request(
        method="GET",
        target=f"{_job(job_id)}/outputs",
        query=[("start", str(start))],
        expects=page_of("outputs", OBJECT),
    )


def story(job_id: str) -> Request:
    return Request(method="GET", target=f"{_job(job_id)}/story", expects=JOB)


def deliveries(job_id: str) -> Request:
    return Request(
        method="GET", target=f"{_job(job_id)}/deliveries", expects=page_of("deliveries", OBJECT)
    )


def cancel(job_id: str) -> Request:
    return Request(method="DELETE", target=_job(job_id), expects=JOB)


def purge(job_id: str) -> Request:
    return Request(method="DELETE", target=_job(job_id), query=[("purge", "true")])


def retry(job_id: str, *, key: str | None = None) -> Request:
    """The same key, or none, gives the same new job."""
    return Request(method="POST", target=f"{_job(job_id)}/retry", headers=_keyed(key), expects=JOB)


def job_events(job_id: str, *, seen: int, previews: bool) -> Request:
    return _events(_job(job_id), seen, [("previews", "true")] if previews else [])


def submit_batch(body: Any, *, key: str) -> Request:
    return Request(
        method="POST", target="/generate/batch", json=body, headers=_keyed(key), expects=BATCH
    )


def batch(batch_id: str, *, items: bool = False, wait_s: int = 0) -> Request:
    query = [("items", "true")] if items else []
    expects = BATCH_WITH_ITEMS if items else BATCH
    return Request(
        method="GET",
        target=_batch(batch_id),
        query=query,
        headers=_held(wait_s),
        expects=expects,
    )


def batches(query: Sequence[tuple[str, str]]) -> Request:
    return Request(
        method="GET", target="/generate/batch", query=query, expects=page_of("batches", BATCH)
    )


def cancel_batch(batch_id: str) -> Request:
    return Request(method="DELETE", target=_batch(batch_id), expects=BATCH)


def retry_batch(batch_id: str, *, key: str | None = None) -> Request:
    """The same key, or none, gives the same new batch."""
    return Request(
        method="POST", target=f"{_batch(batch_id)}/retry", headers=_keyed(key), expects=BATCH
    )


def batch_events(batch_id: str, *, seen: int) -> Request:
    return _events(_batch(batch_id), seen, [])


def store(content: Path | bytes, *, filename: str, content_type: str) -> Request:
    """The same bytes are the same asset."""
    return Request(
        method="POST",
        target="/assets",
        query=[("filename", filename)],
        headers={"Content-Type": content_type},
        content=content,
        expects=STORED,
    )


def offer_upload(announced: Mapping[str, Any]) -> Request:
    """An offer that nobody uses expires."""
    return Request(
        method="POST",
        target="/assets/uploads",
        json=dict(announced),
        expects=OFFER,
    )


def complete_upload(upload_id: str) -> Request:
    return Request(
        method="POST", target=f"/assets/uploads/{_part(upload_id)}/complete", expects=STORED
    )


def assets(query: Sequence[tuple[str, str]]) -> Request:
    return Request(method="GET", target="/assets", query=query, expects=page_of("assets", ASSET))


def delete_asset(asset_id: str) -> Request:
    """``asset_id`` may be its source, too: ``asset:ID``."""
    asset_id = asset_id.removeprefix("asset:")
    return Request(method="DELETE", target=f"/assets/{_part(asset_id)}", repeatable=False)


def workflows() -> Request:
    return Request(method="GET", target="/workflows", expects=page_of("workflows", SUMMARY))


def workflow(name: str) -> Request:
    return Request(method="GET", target=f"/workflows/{_part(name)}", expects=WORKFLOW)


def workers() -> Request:
    return Request(method="GET", target="/workers", expects=page_of("workers", OBJECT))


def health() -> Request:
    return Request(method="GET", target="/health", expects=HEALTH)


def quota() -> Request:
    return Request(method="GET", target="/quota", expects=QUOTA)


def keys() -> Request:
    return Request(method="GET", target="/keys", expects=page_of("keys", API_KEY))


def create_key(body: Mapping[str, Any]) -> Request:
    """It is not sent twice: whose answer was lost has made a key that nobody knows."""
    return Request(
        method="POST", target="/keys", json=dict(body), repeatable=False, expects=NEW_KEY
    )


def revoke_key(key_id: str) -> Request:
    return Request(method="DELETE", target=f"/keys/{_part(key_id)}")


def dead_letters(query: Sequence[tuple[str, str]]) -> Request:
    return Request(method="GET", target="/dead", query=query, expects=page_of("letters", OBJECT))


def dead_letter(letter_id: str) -> Request:
    return Request(method="GET", target=f"/dead/{_part(letter_id)}")


def redrive(letter_id: str) -> Request:
    return Request(
        method="POST",
        target=f"/dead/{_part(letter_id)}/redrive",
        repeatable=False,
        expects=REDRIVEN,
    )


def link(url: str, *, offset: int = 0) -> Request:
    """The content behind a link; from ``offset`` on, where the server can."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    return Request(method="GET", target=url, headers={"Accept-Encoding": "identity", **headers})


def _job(job_id: str) -> str:
    return f"/generate/{_part(job_id)}"


def _batch(batch_id: str) -> str:
    return f"/generate/batch/{_part(batch_id)}"


def _part(name: str) -> str:
    """Return a name as a part of a path.

    Raises BadValue for what would lead elsewhere: servers route by the decoded path, so that
    ``batch/ID`` as the id of a job would be a batch.
    """
    if name in ("", ".", "..") or not SLASHES.isdisjoint(name):
        raise BadValue(f"{name!r} is no id and no name; was it to be filled in?")
    try:
        return quote(name, safe="", errors="surrogateescape")
    except UnicodeEncodeError as wrong:
        raise BadValue(f"{name!r} is no id and no name: it is not Unicode") from wrong


def _keyed(key: str | None) -> Mapping[str, str]:
    return {"Idempotency-Key": key} if key else {}


def _held(wait_s: int) -> Mapping[str, str]:
    return {"Prefer": f"wait={wait_s}"} if wait_s else {}


def _events(path: str, seen: int, query: Sequence[tuple[str, str]]) -> Request:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(seen)} if seen else {})}
    target = f"{path}/events"
    return Request(method="GET", target=target, query=query, headers=headers, read_s=SILENCE_S)
