"""``comfyq infra check``: what is wrong with a deployment, seen from outside."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import typer

from comfyq.bootstrap.diagnosis import check_services
from comfyq.bootstrap.ports import MissingSetting
from comfyq.cli.client import ApiClient, client_at
from comfyq.cli.errors import CommandError, Refused
from comfyq.cli.findings import report
from comfyq.cli.options import AsJson, Url
from comfyq.cli.socket import SocketGone, connect
from comfyq.cli.starting import settings_with
from comfyq.config import Settings
from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.services.operations.findings import judge_clock, judge_kept, judge_workers

DEAD_LIMIT = 100  # a page of the API


def check(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Tell what is wrong with a deployment. Exit code 1 if jobs would not run.

    The API is asked at --url; with COMFYQ_BACKEND=aws, COMFYQ_TABLE, COMFYQ_QUEUE_URL and
    COMFYQ_BUCKET each right that a worker needs is tried too, with this machine's credentials.
    Nothing of it touches a job.
    """
    settings = settings_with()
    findings = [*_outside(client_at(ctx, url), settings), *_inside(settings)]
    report(findings, as_json=as_json)


def _outside(client: ApiClient, settings: Settings) -> Iterator[Finding]:
    try:
        health = client.health()
    except CommandError as away:
        remedy = "compare the URL with the stack's output ApiUrl; the function's log may tell more"
        yield Finding("api", FindingState.WRONG, str(away), remedy)
        return
    yield Finding("api", FindingState.OK, f"comfyq {health['version']} answers")
    yield from judge_workers(health)
    yield from _clock(client)
    yield _kept(client)
    yield _socket(settings.api.ws_url or client.socket_url, client.key_headers)


def _kept(client: ApiClient) -> Finding:
    try:
        page = client.dead_letters(limit=DEAD_LIMIT)
    except Refused as refused:
        remedy = "set COMFYQ_API_KEY to a key with the scope operator"
        return Finding("dead letters", FindingState.WARNING, str(refused), remedy)
    return judge_kept(len(page["letters"]), more=bool(page["next_cursor"]))


def _clock(client: ApiClient) -> Iterator[Finding]:
    date = client.date()
    if date is not None:
        now = datetime.now(UTC)  # noqa: TID251 - this clock is what is judged
        yield judge_clock("clock: API", parsedate_to_datetime(date) - now)


def _socket(url: str, headers: Mapping[str, str]) -> "Finding":
    try:
        connect(url, headers)
    except SocketGone as refused:
        remedy = "clients can poll meanwhile; compare COMFYQ_WS_URL with the output WebSocketUrl"
        return Finding("sockets: connect", FindingState.WARNING, f"{url}: {refused}", remedy)
    return Finding("sockets: connect", FindingState.OK, f"{url} lets in")


def _inside(settings: Settings) -> Sequence[Finding]:
    with tempfile.TemporaryDirectory(prefix="comfyq-check-") as folder:
        sample = Path(folder) / "sample"
        sample.write_bytes(b"of comfyq infra check; it may be deleted\n")
        try:
            findings = asyncio.run(check_services(settings, sample=sample))
        except MissingSetting as missing:
            return [Finding("rights", FindingState.WARNING, "not tried", str(missing))]
    if findings:
        return findings
    untried = "not tried: COMFYQ_BACKEND names no services of AWS"
    return [Finding("rights", FindingState.OK, untried)]
