"""A manifest's values run, other values never become a job, and nothing raises."""

import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyq.adapters.filesystem.manifest import read_manifest
from comfyq.adapters.filesystem.sections import Broken
from comfyq.domain.errors import InvalidParameters, InvalidRequest
from comfyq.domain.graph.graph import Graph, faults, reference
from comfyq.domain.graph.validation import validate
from comfyq.domain.submission.admission import admit_workflow
from comfyq.domain.workflow.importer import propose
from comfyui_simulator.catalogue import load_catalogue
from comfyui_simulator.settings import GENERATIONS
from comfyui_simulator.validation.inspection import Rules
from comfyui_simulator.validation.validation import validate as judged_by_simulator
from tests.api_lab import WORKFLOWS as SHIPPED
from tests.api_lab import ApiLab
from tests.catalogue_lab import CATALOGUE, join
from tests.contract_strategies import JSON, requests_of, spoilt
from tests.paths import WORKFLOWS

pytestmark = pytest.mark.anyio

FOLDER = WORKFLOWS
NAMES = sorted(SHIPPED.names())
MANIFESTS = {name: tomllib.loads((FOLDER / name / "manifest.toml").read_text()) for name in NAMES}
SOME = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


LONG = [pytest.mark.verify, pytest.mark.timeout(600)]
MANY = pytest.mark.parametrize("examples", [60, pytest.param(1_000, marks=LONG)])


def on_many(examples: int, test: Callable[[st.DataObject], None]) -> None:
    settings(parent=SOME, max_examples=examples)(given(st.data())(test))()


@pytest.mark.parametrize("name", NAMES)
@SOME
@given(data=st.data())
def test_what_a_manifest_allows_runs(name: str, data: st.DataObject) -> None:
    workflow = SHIPPED.get(name).on(CATALOGUE)
    values = data.draw(requests_of(workflow))
    admitted = admit_workflow(workflow, values, CATALOGUE, draw_seed=lambda: 7)
    assert validate(admitted.spec.graph, CATALOGUE).valid
    again = workflow.resolve(admitted.spec.parameters, draw_seed=lambda: pytest.fail("drawn"))
    assert workflow.bind(again.parameters) == admitted.spec.graph


@pytest.mark.parametrize("name", NAMES)
@SOME
@given(data=st.data())
def test_what_it_does_not_allow_is_refused(name: str, data: st.DataObject) -> None:
    workflow = SHIPPED.get(name).on(CATALOGUE)
    bounded = [p for p in workflow.parameters.values() if p.maximum is not None]
    for parameter in [p for p in bounded if p.kind in ("integer", "size", "number", "seed")]:
        assert parameter.maximum is not None
        too_much = parameter.maximum + data.draw(st.integers(1, 2**70))
        values = {**workflow.sample, parameter.name: too_much}
        with pytest.raises(InvalidParameters) as raised:
            workflow.resolve(values, draw_seed=lambda: 7)
        assert [each.field for each in raised.value.fields] == [parameter.name]
    for parameter in [p for p in workflow.parameters.values() if p.choices]:
        strange = data.draw(st.text(min_size=1, max_size=20).map(lambda text: f"no-{text}"))
        value = [strange] if parameter.kind == "loras" else strange
        with pytest.raises(InvalidParameters):
            workflow.resolve({**workflow.sample, parameter.name: value}, draw_seed=lambda: 7)


@MANY
def test_spoilt_manifests_are_told_and_nothing_more(examples: int) -> None:
    on_many(examples, read_spoilt_manifest)


def read_spoilt_manifest(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    workflow = SHIPPED.get(name)
    manifest = data.draw(spoilt(MANIFESTS[name]))
    try:
        read = read_manifest(name, manifest, workflow.graph, workflow.sample)
    except Broken:
        return
    json.dumps(read.json_schema())
    with suppress(InvalidRequest):
        admit_workflow(read, workflow.sample, CATALOGUE, draw_seed=lambda: 7)


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


@MANY
async def test_spoilt_graphs_get_a_problem_and_no_job(
    lab: ApiLab, tmp_path: Path, examples: int
) -> None:
    await join(lab, tmp_path)
    refused = []

    def post(data: st.DataObject) -> None:
        graph = data.draw(spoilt(SHIPPED.get(data.draw(st.sampled_from(NAMES))).graph) | JSON)
        answer = lab.client.post("/generate?dry_run=true", json={"graph": graph})
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"], answer.text
            assert "Traceback" not in answer.text
            refused.append(graph)

    on_many(examples, post)
    assert len(refused) > examples // 3
    assert lab.client.get("/generate").json()["jobs"] == []


def has_negative_output(graph: Graph) -> bool:
    values = (value for body in graph.values() for value in body["inputs"].values())
    sources = (reference(value) for value in values)
    return any(source is not None and source.output < 0 for source in sources)


@MANY
def test_graphs_are_judged_as_comfyui_judges_them(examples: int) -> None:
    on_many(examples, compare_judgements)


def compare_judgements(data: st.DataObject) -> None:
    graph = data.draw(spoilt(SHIPPED.get(data.draw(st.sampled_from(NAMES))).graph))
    if faults(graph):
        return
    ours = validate(graph, CATALOGUE)
    rules = Rules(
        catalogue=load_catalogue(),
        wire=GENERATIONS["0.33.0"],
        has_input_file=lambda name: isinstance(name, str),
    )
    if ours.completed or has_negative_output(graph):
        return  # it was mended, or Python counts from the end, which we do not allow
    try:
        theirs = judged_by_simulator(json.loads(json.dumps(graph)), rules=rules)
    except (TypeError, IndexError):  # a link that a real one crashes upon as well
        assert not ours.valid
        return
    assert ours.valid == (theirs.error is None and not theirs.node_errors)
    if not ours.valid and theirs.node_errors:
        assert set(theirs.node_errors) <= {error.node for error in ours.errors}


@MANY
def test_any_graph_can_be_proposed_for(examples: int) -> None:
    on_many(examples, propose_for_spoilt_graph)


def propose_for_spoilt_graph(data: st.DataObject) -> None:
    graph = data.draw(spoilt(SHIPPED.get(data.draw(st.sampled_from(NAMES))).graph))
    if not faults(graph):
        propose(graph, title="x", catalogue=CATALOGUE)
