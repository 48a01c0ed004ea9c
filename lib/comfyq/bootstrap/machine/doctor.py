"""Examination of one machine: data directory, workflows and ComfyUIs. Nothing of it is changed."""

import asyncio
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from comfyq import __version__
from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.bootstrap.machine.data_check import data_findings
from comfyq.bootstrap.telemetry.traces import EXTRA
from comfyq.config import Settings, TracesSettings
from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.submission.admission import refusal_of_sample
from comfyq.domain.submission.node_rules import NodeRules
from comfyq.ports.engine import EngineError
from comfyq.services.operations.findings import judge_forbidden, judge_obstacles

ANSWER_S = 30.0  # for a ComfyUI to list its nodes, which may be thousands


async def examine(settings: Settings, comfyui: Sequence[str]) -> list[Finding]:
    """Look at everything that this machine alone decides; ``comfyui`` are base URLs."""
    version = f"{__version__}, Python {platform.python_version()}"
    findings = [Finding("comfyq", FindingState.OK, version), *_traces(settings.traces)]
    findings += data_findings(settings)
    catalogues: dict[str, NodeCatalogue] = {}
    for url in comfyui:
        findings.append(await _comfyui(url, catalogues))
    return [*findings, *_workflows(settings, catalogues)]


def _traces(settings: TracesSettings) -> Iterator[Finding]:
    """Tell that traces are wanted which this installation cannot make."""
    if settings.are_wanted and find_spec("opentelemetry.sdk") is None:
        told = "the variables of OpenTelemetry ask for traces, and its SDK is not installed"
        yield Finding("traces", FindingState.WARNING, told, EXTRA)


async def _comfyui(url: str, catalogues: dict[str, NodeCatalogue]) -> Finding:
    """Look at a ComfyUI, and add its catalogue to ``catalogues``."""
    subject = "ComfyUI"
    try:
        async with asyncio.timeout(ANSWER_S), ComfyEngine(url) as engine:
            info = await engine.info()
            catalogues[url] = read_catalogue(await engine.object_info())
    except (EngineError, TimeoutError) as away:
        remedy = "start it, or name another with --comfyui; its jobs wait meanwhile"
        reason = str(away) or f"no answer within {ANSWER_S:.0f} s"
        return Finding(subject, FindingState.WRONG, f"{url}: {reason}", remedy)
    devices = ", ".join(info.devices)
    if info.simulated:
        remedy = "no picture of it is real"
        return Finding(subject, FindingState.WARNING, f"{url} is simulated", remedy)
    return Finding(subject, FindingState.OK, f"{url} is {info.version} on {devices}")


def _workflows(settings: Settings, catalogues: Mapping[str, NodeCatalogue]) -> Iterator[Finding]:
    try:
        workflows = FolderWorkflows(settings.workflows_dir)
    except InvalidWorkflow as none:
        yield Finding("workflows", FindingState.WRONG, str(none), "set COMFYQ_WORKFLOWS_DIR")
        return
    names, faults = workflows.names(), workflows.faults()
    for name, fault in faults.items():
        remedy = f"mend it in {settings.workflows_dir / name}; until then it is not served"
        yield Finding(f"workflow {name}", FindingState.WRONG, fault, remedy)
    if not faults:
        yield Finding("workflows", FindingState.OK, f"{len(names)} in {settings.workflows_dir}")
    yield from _forbidden(workflows, settings.limits.node_rules)
    for url, catalogue in catalogues.items():
        for name in names:
            refused = refusal_of_sample(workflows.get(name), catalogue)
            if refused is not None:
                reasons = [each.message for each in refused.fields]
                folder = str(settings.workflows_dir / name)
                yield judge_obstacles(name, reasons, folder=folder, url=url)


def _forbidden(workflows: FolderWorkflows, rules: NodeRules) -> Iterator[Finding]:
    """Tell which workflows the lists of node classes forbid."""
    for name in workflows.names():
        refused = refusal_of_sample(workflows.get(name), None, rules=rules)
        if refused is not None:
            yield judge_forbidden(name, [each.message for each in refused.fields])
