"""A job's outputs as files.

Names of files are made of nothing that leads out of the folder, whatever a server says.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from comfyq.client import calls
from comfyq.client.effects import Flow, work
from comfyq.client.errors import BadValue, BrokenDownload, Forbidden, NotReached
from comfyq.client.messages import Answer, Json
from comfyq.client.sender import Deadline, Sender, next_of_stream

FRUITLESS = 3  # tries in a row that bring nothing new, at least, before it is given up
PARTIAL = 206
JOB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")
OF_NAMES = re.compile(r"[^/\\\x00-\x1f\x7f]+")


def all_outputs(sender: Sender, job: Json, deadline: Deadline) -> Flow[list[Json]]:
    """Return the outputs that the job shows, and those that it had no room for."""
    listed = job.get("outputs") or ()
    found = list(listed) if isinstance(listed, Sequence) else [listed]  # which is none: see below
    more = job.get("more_outputs")
    while more and found:
        request = calls.outputs(job["id"], start=found[-1]["index"] + 1)
        page = yield from sender.json(request, deadline)
        found += page["outputs"]
        more = page["outputs"] and page.get("more_outputs")
    for output in found:
        _check(output)
    return found


def _check(output: Any) -> None:
    """Raise BrokenDownload for what is no output: nothing of it can be believed."""
    kinds = {"index": int, "filename": str, "size": int, "blake3": str, "url": str}
    if not (
        isinstance(output, dict)
        and all(isinstance(output.get(name), kind) for name, kind in kinds.items())
        and output["index"] >= 0
    ):
        raise BrokenDownload("the server lists an output that is none")


def downloaded(
    sender: Sender, job: Json, folder: Path, name: str | None, deadline: Deadline
) -> Flow[list[Path]]:
    """Fetch all that a job has made into ``folder``, as ``{name or job id}-{index}{suffix}``.

    A file appears whole or not at all, and is what its hash says. One that is there already is not
    fetched again; where another has its name, the job's id is added to it.
    """
    if name is not None and not OF_NAMES.fullmatch(name):
        raise BadValue(f"{name!r} cannot begin names of files: it is empty or has / or the like")
    if not JOB_ID.fullmatch(str(job["id"])):
        raise BrokenDownload("the server names the job by what is no id")
    outputs = yield from all_outputs(sender, job, deadline)
    if outputs:
        yield from work(partial(folder.mkdir, parents=True, exist_ok=True))
    files: list[Path] = []
    for output in outputs:
        place = yield from work(partial(_place, folder, job["id"], output, name or job["id"]))
        if not place.is_there:
            yield from _Download(sender, job["id"], output, place.file, deadline).run()
        files.append(place.file)
    return files


def content_of(sender: Sender, job_id: str, output: Json, deadline: Deadline) -> Flow[bytes]:
    """Return an output's content."""
    request = calls.link(output["url"])
    try:
        answer = yield from sender.answer(request, deadline)
    except Forbidden:  # the link has expired
        fresh = yield from _fresh(sender, job_id, output, deadline)
        answer = yield from sender.answer(calls.link(fresh["url"]), deadline)
    return _whole(output, answer)


def content_at(sender: Sender, output: Json, at: str, deadline: Deadline) -> Flow[bytes]:
    """Return the content of an output whose job is not known, which stands ``at`` a place of a
    request; raises BadValue if its link has expired."""
    _check(output)
    try:
        answer = yield from sender.answer(calls.link(output["url"]), deadline)
    except Forbidden as expired:
        raise BadValue(
            f"{at}: the link of {output['filename']} has expired; `refresh` of its job brings a "
            "new one"
        ) from expired
    return _whole(output, answer)


def _whole(output: Json, answer: Answer) -> bytes:
    if blake3(answer.content).hexdigest() != output["blake3"]:
        raise _broken(output)
    return answer.content


@dataclass(frozen=True, slots=True)
class _Place:
    file: Path
    is_there: bool


def _place(folder: Path, job_id: str, output: Mapping[str, Any], name: str) -> _Place:
    found = Path(output["filename"]).suffix
    suffix = found if SUFFIX.fullmatch(found) else ""
    file = folder / f"{name}-{output['index']}{suffix}"
    if file.exists() and not _is(file, output) and name != job_id:
        file = folder / f"{name}-{output['index']}-{job_id}{suffix}"
    return _Place(file, _is(file, output))


def _is(file: Path, output: Mapping[str, Any]) -> bool:
    """Return whether a file is there and is this output."""
    try:
        if file.stat().st_size != output["size"]:
            return False
        return _digest(file) == str(output["blake3"])
    except OSError:
        return False


def _digest(file: Path) -> str:
    digest: str = blake3().update_mmap(file).hexdigest()
    return digest


def _fresh(sender: Sender, job_id: str, output: Json, deadline: Deadline) -> Flow[Json]:
    """Return an output with a new link."""
    page = yield from sender.json(calls.outputs(job_id, start=output["index"]), deadline)
    outputs: list[Json] = page["outputs"]
    for each in outputs:
        _check(each)
    return next((each for each in outputs if each["index"] == output["index"]), output)


def _broken(output: Mapping[str, Any]) -> BrokenDownload:
    return BrokenDownload(f"{output['filename']} did not arrive as the job announced it")


class _Download:
    """Fetches one file; what was cut off goes on where it was cut."""

    def __init__(
        self, sender: Sender, job_id: str, output: Json, file: Path, deadline: Deadline
    ) -> None:
        self._sender = sender
        self._job_id = job_id
        self._output = output
        self._file = file
        # short: a file system has room for 255 bytes, which the file's own name may need
        self._part = file.with_name(f".{secrets.token_hex(8)}.part")
        self._deadline = deadline
        self._size = 0  # bytes of it that are there

    def run(self) -> Flow[None]:
        written: BinaryIO = yield from work(self._created)
        try:
            yield from self._filled(written)
            yield from work(written.close)
            if (yield from work(partial(_digest, self._part))) != self._output["blake3"]:
                raise _broken(self._output)
            yield from work(partial(self._part.replace, self._file))
        finally:
            written.close()
            self._part.unlink(missing_ok=True)

    def _created(self) -> BinaryIO:
        return self._part.open("wb")

    def _filled(self, written: BinaryIO) -> Flow[None]:
        """Fetch until all of it is there, or nothing new has come for as long as the patience says:
        a server that is started again takes connections, and drops them, for a while."""
        patience, clock = self._sender.patience, self._sender.clock
        fruitless, pauses, came_at = 0, patience.pauses(), clock()
        while True:
            answer = yield from self._opened()
            before = self._size
            try:
                yield from self._take(answer, written)
                return
            except NotReached as cut:
                if self._size >= self._output["size"]:
                    return
                if self._size > before:
                    fruitless, pauses, came_at = 0, patience.pauses(), clock()
                else:
                    fruitless += 1
                if fruitless >= FRUITLESS and clock() - came_at >= patience.give_up_s:
                    raise BrokenDownload(f"the download broke off: {cut}") from cut
                self._deadline.check(f"{self._output['filename']} has not arrived")
                yield from self._deadline.paused(next(pauses))

    def _opened(self) -> Flow[Answer]:
        request = calls.link(self._output["url"], offset=self._size)
        try:
            return (yield from self._sender.opened(request, self._deadline))
        except Forbidden:  # the link has expired
            self._output = yield from _fresh(
                self._sender, self._job_id, self._output, self._deadline
            )
        request = calls.link(self._output["url"], offset=self._size)
        return (yield from self._sender.opened(request, self._deadline))

    def _take(self, answer: Answer, written: BinaryIO) -> Flow[None]:
        if answer.status != PARTIAL:  # all of it, from its beginning
            self._size = 0
        yield from work(partial(written.seek, self._size))
        yield from work(written.truncate)
        while (chunk := (yield from next_of_stream())) is not None:
            yield from work(partial(written.write, chunk))
            self._size += len(chunk)
            if self._size > self._output["size"]:  # who sends without an end fills the disk
                raise _broken(self._output)
            self._deadline.check(f"{self._output['filename']} has not arrived")
        if self._size < self._output["size"]:
            raise NotReached("it ended early")
