"""A job's outputs as files."""

from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import BrokenDownload


def download_outputs(client: ApiClient, job: Json, folder: Path) -> list[Path]:
    """Fetch all that a job has made into ``folder``, as ``{job id}-{index}{suffix}``.

    A file appears whole or not at all, and is what its hash says.

    Raises:
        NotReached: a download broke off, or is not what was announced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outputs = _all_outputs(client, job)
    return [_download(client, job["id"], output, folder) for output in outputs]


def _all_outputs(client: ApiClient, job: Json) -> Iterator[Json]:
    """Those that the job shows, and those that there was no room for."""
    page = job
    yield from page["outputs"]
    while page.get("more_outputs"):
        page = client.outputs(job["id"], start=page["outputs"][-1]["index"] + 1)
        yield from page["outputs"]


def _download(client: ApiClient, job_id: str, output: Json, folder: Path) -> Path:
    file = folder / f"{job_id}-{output['index']}{Path(output['filename']).suffix}"
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
