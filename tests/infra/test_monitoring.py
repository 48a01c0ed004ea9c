"""The dashboard and the alerts: whatever they ask for is there, in a form that their tools read."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from comfyq.services.operations.backlog import BacklogReport
from comfyq.telemetry.numbers import NUMBERS
from tests.api_lab import ApiLab
from tests.infra.images import ROOT

FOLDER = ROOT / "infra/monitoring"
DASHBOARD = FOLDER / "dashboard.json"
INTERVAL = "$__rate_interval"  # Grafana's own; a duration stands for it here
ENDINGS = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
OF_PROMETHEUS = {"up"}
OF_TARGETS = {"instance", "job", "le"}  # labels that are no metric's own
EMPTY = BacklogReport(families={}, aside=0, held=0, live=0, ready=0, paused_receivers=0)
INSTALLED = ROOT / ".promtool/usr/bin/promtool"  # by `make promtool`


def panels() -> Sequence[Mapping[str, Any]]:
    shown: Sequence[Mapping[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return shown


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield whose an expression is, the expression, and the texts that name its labels."""
    for panel in panels():
        for target in panel.get("targets", ()):
            expression = target["expr"].replace(INTERVAL, "5m")
            whose = f"panel {panel['title']} {target['refId']}"
            yield whose, expression, target["legendFormat"]
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            shown = json.dumps(rule["annotations"]).replace("$labels.", "")
            yield f"alert {rule['alert']}", rule["expr"], shown


EXPRESSIONS = list(expressions())
IDS = [whose for whose, _, _ in EXPRESSIONS]


@pytest.fixture(scope="module")
def exposed() -> frozenset[str]:
    """Return the names of all series that a server exposes."""
    text = ApiLab().client.get("/metrics", headers={"Accept": "text/plain"}).text
    return frozenset(
        name
        for family in text_string_to_metric_families(text)
        for name in (family.name + ending for ending in ENDINGS.get(family.type, [""]))
    )


def parts(expression: str) -> Sequence[Any]:
    """Return an expression and all that it consists of; raises ValueError if it is none."""
    found: list[Any] = []

    def visit(part: Any) -> bool:
        found.append(part)
        return True

    promql.walk(promql.parse(expression), visit)
    return found


def selectors(expression: str) -> Sequence[Any]:
    return [part for part in parts(expression) if isinstance(part, promql.VectorSelector)]


@pytest.mark.parametrize(("whose", "expression", "texts"), EXPRESSIONS, ids=IDS)
def test_every_metric_and_label_is_exposed(
    exposed: frozenset[str], whose: str, expression: str, texts: str
) -> None:
    chosen = selectors(expression)
    names = {each.name for each in chosen}
    assert names
    assert names <= exposed | OF_PROMETHEUS
    asked = {each.name for selector in chosen for each in selector.matchers.matchers}
    grouped = {
        label
        for part in parts(expression)
        if isinstance(part, promql.AggregateExpr) and part.modifier
        for label in part.modifier.labels
    }
    shown = set(re.findall(r"{{\s*(\w+)\s*}}", texts)) - {"value"}
    has = {
        label
        for metric in (*NUMBERS, *EMPTY.gauges())
        if any(name.startswith(metric.name) for name in names)
        for label in metric.labels
    }
    assert asked | grouped | shown <= has | OF_TARGETS, whose
    assert not grouped or shown <= grouped, "a label that the expression drops"


def test_what_is_checked_is_what_the_files_ask_for() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        parts("sum by (le (rate(a[5m]))")
    assert [each.name for each in selectors("rate(a_total[5m]) / on() (b > 0)")] == ["a_total", "b"]
    assert len(EXPRESSIONS) > 40


def test_every_metric_of_jobs_and_machines_is_on_the_dashboard() -> None:
    shown = " ".join(expression for _, expression, _ in EXPRESSIONS)
    absent = [each.name for each in (*NUMBERS, *EMPTY.gauges()) if each.name not in shown]
    assert absent == ["comfyq_queue_seconds_total", "comfyq_jobs_held"]


def test_panels_have_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for one, other in combinations((panel["gridPos"] for panel in panels()), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
        assert one["x"] + one["w"] <= 24, "Grafana's grid has 24 columns"


def test_panels_ask_the_data_source_that_one_chooses() -> None:
    [variable] = json.loads(DASHBOARD.read_text())["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
    for panel in panels():
        if panel["type"] != "row":
            assert panel["datasource"] == chosen
            assert panel["targets"]
            assert all(target["datasource"] == chosen for target in panel["targets"])


def test_alerts_say_what_is_wrong_and_what_to_do() -> None:
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]:
        names = [rule["alert"] for rule in group["rules"]]
        assert len(set(names)) == len(names)
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "prometheus.yml"],
    ],
    ids=" ".join,
)
def test_prometheus_own_tool_accepts_the_files(arguments: list[str]) -> None:
    promtool = shutil.which("promtool") or (str(INSTALLED) if INSTALLED.exists() else None)
    if promtool is None:
        pytest.skip("there is no promtool, Prometheus' own checker: `make promtool` gets it")
    ended = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
