"""``comfyq doctor``: what is wrong on this machine."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import typer

from comfyq import __version__
from comfyq.bootstrap.machine.doctor import examine
from comfyq.bootstrap.runtime_file import COMFYUI_URLS, NotRunning, read_runtime
from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CommandError
from comfyq.cli.findings import report
from comfyq.cli.options import AsJson, ComfyUI, DataDir
from comfyq.cli.starting import comfyui_urls, settings_with
from comfyq.config import Settings, unknown_settings
from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.services.operations.findings import judge_forbidden, judge_obstacles, judge_workers


def doctor(
    ctx: typer.Context, data_dir: DataDir = None, comfyui: ComfyUI = None, as_json: AsJson = False
) -> None:
    """Tell what is wrong on this machine. Exit code 1 if something must be mended.

    Looked at: settings, data directory, disk, database, clock, workflows, each ComfyUI that is
    named, and the running `comfyq up`, whose workflows and ComfyUIs are taken unless others are
    named. Nothing is changed. `comfyq infra check` looks at a deployment on AWS.
    """
    settings = settings_with(COMFYQ_DATA_DIR=data_dir)
    running = _running(settings)
    settings = _as_running(settings, running)
    urls = comfyui_urls(comfyui, settings) or running.get(COMFYUI_URLS, "").split()
    findings = asyncio.run(examine(settings, urls))
    told = {each.subject for each in findings if each.subject.startswith("workflow ")}
    server = [
        each
        for each in _server(ctx, settings, running, named=bool(urls))
        if each.subject not in told
    ]
    report([*findings, *_settings(), *server], as_json=as_json)


def _running(settings: Settings) -> Mapping[str, str]:
    try:
        return read_runtime(settings.data_dir)
    except NotRunning:
        return {}


def _as_running(settings: Settings, running: Mapping[str, str]) -> Settings:
    """Take the folders of the running server where the environment names none."""
    usual = Settings()
    workflows, outputs = running.get("COMFYQ_WORKFLOWS_DIR"), running.get("COMFYQ_OUTPUTS_DIR")
    if workflows and settings.workflows_dir == usual.workflows_dir:
        settings = replace(settings, workflows_dir=Path(workflows))
    if outputs and settings.outputs_dir is None:
        settings = replace(settings, outputs_dir=Path(outputs))
    return settings


def _settings() -> Iterator[Finding]:
    for name, meant in unknown_settings().items():
        remedy = (
            f"did you mean {meant}?" if meant else "`make docs` lists them all in its page Settings"
        )
        told = f"{name} is no setting of comfyq and has no effect"
        yield Finding("settings", FindingState.WARNING, told, remedy)


def _server(
    ctx: typer.Context, settings: Settings, running: Mapping[str, str], *, named: bool
) -> Iterator[Finding]:
    url = running.get("COMFYQ_URL")
    if url is None:
        yield Finding("server", FindingState.OK, "none runs with this data directory now")
        return
    client = client_at(ctx, url)
    try:
        health = client.health()
    except CommandError as away:
        yield Finding("server", FindingState.WRONG, str(away), "read its log; start it again")
        return
    yield Finding("server", FindingState.OK, f"comfyq {health['version']} answers at {url}")
    if health["version"] != __version__:
        told = f"the server runs {health['version']}, this command is {__version__}"
        remedy = "restart it, if it was started before the last upgrade"
        yield Finding("versions", FindingState.WARNING, told, remedy)
    yield from judge_workers(health)
    if not named:
        yield from _served(client, settings, health)


def _served(client: ApiClient, settings: Settings, health: Json) -> Iterator[Finding]:
    """Tell which workflows none of the server's workers can run."""
    try:
        workflows = client.workflows()["workflows"]
    except CommandError as refused:
        remedy = "set COMFYQ_API_KEY to a key with the scope read"
        yield Finding("workflows on workers", FindingState.WARNING, str(refused), remedy)
        return
    for each in workflows:
        broken = each["name"] in (health.get("broken_workflows") or ())
        if each["available"] is False and not broken:
            name, reasons = each["name"], each["reasons"]
            folder = str(settings.workflows_dir / name)
            if each.get("forbidden"):
                yield judge_forbidden(name, reasons)
            else:
                yield judge_obstacles(name, reasons, folder=folder, url="URL")
