"""Submitting, with the files that requests name."""

import mimetypes
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from comfyq.client import calls
from comfyq.client.effects import Flow, work
from comfyq.client.errors import ApiError, BadValue, NotReached
from comfyq.client.flows.downloading import content_at
from comfyq.client.messages import Json, Request
from comfyq.client.sender import Deadline, Sender

if TYPE_CHECKING:
    from comfyq.client.models.jobs import Output

LARGE_BYTES = 4_000_000  # a Lambda takes 6 MB, and API Gateway makes a third more of them
ANY_TYPE = "application/octet-stream"


def new_key() -> str:
    """Return an idempotency key: under it, a request is accepted once, however often it is sent."""
    return uuid.uuid4().hex


def submitted(
    sender: Sender, values: Mapping[str, Any], key: str | None, deadline: Deadline
) -> Flow[Json]:
    """Submit a request; files in it are stored first, and named as the assets they become."""
    body = yield from _Files(sender, deadline).named_in(values)
    return (yield from sender.json(calls.submit(body, key=key or new_key()), deadline))


def submitted_batch(
    sender: Sender, body: Mapping[str, Any], key: str | None, deadline: Deadline
) -> Flow[Json]:
    """Submit a batch, and return it with its items, as they are now if it was sent before."""
    full = yield from _Files(sender, deadline).named_in(body)
    request = calls.submit_batch(full, key=key or new_key())
    batch = yield from sender.json(request, deadline)
    if batch.get("items") is not None:
        return batch
    return (yield from sender.json(calls.batch(batch["batch_id"], items=True), deadline))


def stored(
    sender: Sender,
    content: Path | bytes,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    deadline: Deadline,
) -> Flow[Json]:
    """Store a file; a large one by a signed link, which may lead past the API."""
    name = filename or (content.name if isinstance(content, Path) else "file")
    kind = content_type or mimetypes.guess_type(name)[0] or ANY_TYPE
    size = yield from work(lambda: _size(content))
    if size <= LARGE_BYTES:
        request = calls.store(content, filename=name, content_type=kind)
        return (yield from sender.json(request, deadline))
    announced = {
        "name": name,
        "content_type": kind,
        "size_bytes": size,
        "blake3": (yield from work(lambda: digest_of(content))),
    }
    offer = yield from sender.json(calls.offer_upload(announced), deadline)
    put = Request(
        method=offer["method"], target=offer["url"], headers=offer["headers"], content=content
    )
    try:
        yield from sender.answer(put, deadline)
    except ApiError as refused:
        raise NotReached(f"the storage did not take {name}: HTTP {refused.status}") from refused
    return (yield from sender.json(calls.complete_upload(offer["id"]), deadline))


def digest_of(content: Path | bytes) -> str:
    """Return the BLAKE3 hash of a file, as hex digits."""
    hasher = blake3()
    if isinstance(content, Path):
        hasher.update_mmap(content)
    else:
        hasher.update(content)
    return hasher.hexdigest()


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


@dataclass(frozen=True, slots=True)
class _Files:
    """Stores the files that values name, each once."""

    sender: Sender
    deadline: Deadline
    sources: dict[object, str] = field(default_factory=dict)  # by path, or hash of an output

    def named_in(self, value: Any, at: str = "") -> Flow[Any]:
        """Return the value with a source instead of each file in it; it stands ``at`` this place.

        BadValue: something in it is nothing that JSON has.
        """
        if isinstance(value, Mapping):
            named: dict[str, Any] = {}
            for name, each in value.items():
                named[name] = yield from self.named_in(each, _within(at, name))
            return named
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            items: list[Any] = []
            for index, each in enumerate(value):
                items.append((yield from self.named_in(each, _within(at, index))))
            return items
        return (yield from self._named(value, at))

    def _named(self, value: Any, at: str) -> Flow[Any]:
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, Path):
            return (yield from self._source(value, lambda: self._stored(value)))
        from comfyq.client.models.jobs import Output  # few requests have one, and commands none
        from comfyq.client.models.service import Asset

        match value:
            case Asset():
                return value.source
            case Output() if value.text is not None:
                return value.text
            case Output():
                return (yield from self._source(value.blake3, lambda: self._again(value, at)))
            case _:
                raise BadValue(
                    f"{at}: a {type(value).__name__} cannot be written as JSON; a file "
                    "is a pathlib.Path, an Output of a job, or the Asset that `upload` makes of it"
                )

    def _source(self, file: object, store: Callable[[], Flow[Json]]) -> Flow[str]:
        if file not in self.sources:
            self.sources[file] = str((yield from store())["source"])
        return self.sources[file]

    def _stored(self, path: Path) -> Flow[Json]:
        return (yield from stored(self.sender, path, deadline=self.deadline))

    def _again(self, output: "Output", at: str) -> Flow[Json]:
        """Store what a job has made as a file that goes in: its link may lead to where no worker
        fetches from."""
        content = yield from content_at(self.sender, dict(output.raw), at, self.deadline)
        return (
            yield from stored(
                self.sender,
                content,
                filename=output.filename,
                content_type=output.content_type,
                deadline=self.deadline,
            )
        )


def _within(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)
