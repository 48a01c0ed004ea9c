"""template.yaml, as it is written and as SAM expands it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.checks.document import Document
from infra.checks.rules import RULES, Rule, faults
from infra.checks.seeds import FAULTS, Fault
from infra.checks.tools import Tools, allowed
from infra.checks.written import written
from tests.infra.loops import closed_loops

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
ONLY_EXPANDED = {"functions_are_called"}  # SAM makes what calls them


@pytest.fixture(autouse=True)
def _loops() -> Iterator[None]:
    """Handlers are imported to see that they can be; their loops end with the test."""
    with closed_loops():
        yield


@pytest.fixture(scope="module")
def document() -> Document:
    return written(TEMPLATE)


@pytest.mark.parametrize("rule", [name for name in RULES if name not in ONLY_EXPANDED])
def test_as_written(rule: str, document: Document) -> None:
    assert list(RULES[rule](document)) == []


FOUND_BY_TOOLS = {  # which other faults no rule of ours is for
    "a property stands where SAM has none",
    "a route is misspelt",
    "the schedule has a plural",
    "a name is misspelt",
    "the API is throttled to a request a second",
    "a function has too little memory",
}


@pytest.mark.verify
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_a_fault_is_found_without_any_tool(fault: Fault) -> None:
    listed = list(faults(written(fault.put_into(TEMPLATE))))
    assert listed or fault.name in FOUND_BY_TOOLS


def test_every_rule_finds_something_in_an_empty_template() -> None:
    """But for those about resources of which there are none: they have nothing to look at."""
    empty = Document({"Resources": {}})
    silent = {name for name, rule in RULES.items() if not _complains(rule, empty)}
    assert len(RULES) - len(silent) >= 15


@pytest.fixture(scope="module")
def tools() -> Tools:
    tools = Tools()
    if not tools.installed:
        pytest.skip("the tools are not installed: run make infra-test")
    return tools


@pytest.fixture(scope="module")
def expanded(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expanded")
    assert tools.expand([ROOT / "template.yaml"], folder) == {}
    return folder / "template.json"


@pytest.mark.verify
def test_as_expanded(expanded: Path) -> None:
    assert list(faults(Document.read(expanded))) == []


@pytest.mark.verify
def test_what_rules_see_is_what_sam_makes_of_it(expanded: Path, document: Document) -> None:
    """The written template misses nothing that has a role, an environment or a log."""
    real = Document.read(expanded)
    roles = {role.id for role in real.of("AWS::IAM::Role")}
    assert roles - set(document.resources) == {"ReaperFunctionEachMinuteRole"}
    for function in real.of("AWS::Lambda::Function"):
        seen = document.get(function.id)
        assert function.find("Environment.Variables") == seen.find("Environment.Variables")


@pytest.mark.verify
def test_cfn_lint_finds_nothing(tools: Tools, expanded: Path) -> None:
    assert tools.lint([expanded, ROOT / "template.yaml"]) == {}


@pytest.mark.verify
def test_checkov_finds_what_is_allowed_and_nothing_else(tools: Tools, expanded: Path) -> None:
    assert tools.scanned(expanded) == set(allowed())


def _complains(rule: Callable[[Document], Iterator[str]] | Rule, document: Document) -> bool:
    try:
        return any(True for _ in rule(document))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return True
