"""Findings of ``comfyq doctor`` about workflows, by the catalogue of a ComfyUI."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from comfyq.bootstrap.machine.doctor import examine
from comfyq.config import LimitSettings, Settings
from comfyq.domain.diagnosis import FindingState
from comfyui_simulator import Simulator, SimulatorSettings
from tests.paths import WORKFLOWS

pytestmark = pytest.mark.anyio


async def test_nodes_of_every_workflow_are_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / "workflows"
    for name in ("sd15", "sdxl"):
        shutil.copytree(WORKFLOWS / name, folder / name)
    file = folder / "sdxl" / "graph.json"
    graph = json.loads(file.read_text())
    graph["3"]["class_type"] = "NotInstalledSampler"
    file.write_text(json.dumps(graph))
    settings = Settings(data_dir=tmp_path / "data", workflows_dir=folder)
    async with Simulator(SimulatorSettings()) as simulator:
        findings = await examine(settings, [simulator.url])
    by_subject = {each.subject: each for each in findings}
    assert "workflow sd15" not in by_subject
    lacking = by_subject["workflow sdxl"]
    assert lacking.state is FindingState.WARNING
    assert "NotInstalledSampler" in lacking.told
    assert lacking.remedy
    assert f"{folder / 'sdxl'} --comfyui {simulator.url}" in lacking.remedy
    assert by_subject["ComfyUI"].told == f"{simulator.url} is simulated"


async def test_what_the_lists_of_node_classes_forbid_is_told_without_a_comfyui(
    tmp_path: Path,
) -> None:
    limits = LimitSettings(nodes="safe", nodes_denied="WanImage*")
    settings = Settings(data_dir=tmp_path / "data", workflows_dir=WORKFLOWS, limits=limits)
    findings = [each for each in await examine(settings, []) if "workflow " in each.subject]
    [forbidden] = findings
    assert (forbidden.subject, forbidden.state) == ("workflow wan22-i2v", FindingState.WARNING)
    assert "COMFYQ_NODES_DENIED has WanImage*" in forbidden.told
    assert forbidden.remedy
    assert "out of COMFYQ_NODES_DENIED" in forbidden.remedy
    safe = replace(settings, limits=LimitSettings(nodes="KSampler"))
    remedies = {each.remedy for each in await examine(safe, []) if "workflow " in each.subject}
    assert remedies == {"allow its classes by COMFYQ_NODES, or remove the workflow"}
