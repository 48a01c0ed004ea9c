"""A job's outputs as files."""

from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import BrokenDownload


def download_outputs(
    client: ApiClient, job: Json, folder: Path, *, name: str | None = None
) -> list[Path]:
    """Fetch all that a job has made into ``folder``, as ``{name or job id}-{index}{suffix}``.

    A file appears whole or not at all, and is what its hash says. One that is there already is not
    fetched again; where another has its name, the job's id is added to it.

    Raises:
        NotReached: a download broke off, or is not what was announced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outputs = _all_outputs(client, job)
    return [_download(client, job["id"], output, folder, name or job["id"]) for output in outputs]


def _all_outputs(client: ApiClient, job: Json) -> Iterator[Json]:
    """Those that the job shows, and those that there was no room for."""
    page = job
    yield from page["outputs"]
    while page.get("more_outputs"):
        page = client.outputs(job["id"], start=page["outputs"][-1]["index"] + 1)
        yield from page["outputs"]


def _download(client: ApiClient, job_id: str, output: Json, folder: Path, name: str) -> Path:
    suffix = Path(output["filename"]).suffix
    file = folder / f"{name}-{output['index']}{suffix}"
    if file.exists() and not _is(file, output) and name != job_id:
        file = folder / f"{name}-{output['index']}-{job_id}{suffix}"
    if _is(file, output):
        return file
    part = file.with_name(f"{file.name}.part")
    digest = blake3()
    try:
        with client.download(output["url"]) as chunks, part.open("wb") as written:
            for chunk in chunks:
                digest.update(chunk)
                written.write(chunk)
        if digest.hexdigest() != output["blake3"]:
            raise BrokenDownload(f"{output['filename']} did not arrive as the job announced it")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def _is(file: Path, output: Json) -> bool:
    """Return whether a file is there and is this output."""
    try:
        if file.stat().st_size != output["size"]:
            return False
        digest = blake3()
        digest.update_mmap(file)
    except OSError:
        return False
    return bool(digest.hexdigest() == output["blake3"])
