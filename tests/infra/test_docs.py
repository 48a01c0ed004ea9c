"""Sources of `make docs`; zensical itself runs in `make docs` alone."""

import re
import tomllib
from pathlib import Path

import pytest

from comfyq import client
from comfyq.config.reference import reference as settings_reference
from comfyq.domain.audit import AuditAction
from infra.checks.calls import recorded
from infra.cost import report
from infra.docs import api, cli
from infra.docs.__main__ import CONFIGURATION, REFERENCE, assemble
from infra.docs.checks import faults_of_navigation, faults_of_pages
from infra.docs.codes import job_codes, problem_codes
from infra.docs.comments import comments_of
from infra.docs.markdown import cell, prose, table, type_word
from infra.docs.schemas import fields

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    assemble(folder / "out")
    return folder / "out"


def reference(out: Path, name: str) -> str:
    return (out / "source" / "reference" / name).read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation(out: Path) -> None:
    assert faults_of_navigation(out) == []


def test_what_the_navigation_lacks_is_told(out: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "orphan.md").touch()
    (tmp_path / "zensical.toml").write_text('[project]\nnav = [{A = "a.md"}, {B = "a.md"}]')
    faults = faults_of_navigation(tmp_path)
    assert faults == [
        "nav: a.md is no page",
        "nav: orphan.md is not in it",
        "nav: a.md is there twice",
    ]


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<img src="http://cdn.example/a.png">',
        "<style>@import url(https://cdn.example/a.css);</style>",
        '<pre class="mermaid"><code>graph LR</code></pre>',
    ],
)
def test_a_page_that_fetches_something_remote_is_told(tmp_path: Path, page: str) -> None:
    (tmp_path / "index.html").write_text(page)
    assert len(faults_of_pages(tmp_path)) == 1


def test_links_that_a_reader_follows_are_no_fault(tmp_path: Path) -> None:
    page = '<a href="https://example.org">x</a><script src="assets/a.js"></script>'
    (tmp_path / "index.html").write_text(page)
    assert faults_of_pages(tmp_path) == []


def test_a_site_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert faults_of_pages(tmp_path)


def test_every_operation_and_object_is_in_the_reference(out: Path) -> None:
    page, parameters = reference(out, "api.md"), reference(out, "parameters.md")
    for path, methods in api.document()["paths"].items():
        workflow = path.removeprefix("/workflows/").removesuffix("/generate")
        if path == f"/workflows/{workflow}/generate":
            assert f"## `{workflow}`" in parameters
        else:
            for method in methods:
                assert f"### `{method.upper()} {path}`" in page
    for name in ("JobView", "GenerateRequest", "Problem", "StoryView"):
        assert f"### {name}" in page


def test_every_command_is_in_the_reference(out: Path) -> None:
    page = reference(out, "cli.md")
    for command in ("up", "worker", "submit", "dead redrive", "workflows import", "infra check"):
        assert f"## `comfyq {command}`" in page
    assert "comfyq demo" not in page  # hidden
    assert "`--comfyui-dir`" in page


def test_every_setting_is_in_the_reference_and_explained(out: Path) -> None:
    page = reference(out, "settings.md")
    for each in settings_reference():
        assert f"| `{each.name}` | {type_word(each.type)} |" in page
        assert f"| {cell(each.description)} |" in page


def test_every_error_code_is_in_the_reference(out: Path) -> None:
    page = reference(out, "errors.md")
    codes = {*problem_codes(), *job_codes()}
    assert {"rate-limited", "invalid-json", "internal-error", "node-error"} <= codes
    assert {"too-many-connections", "head-too-large"} <= codes, "those of the local server"
    assert {"out-of-memory", "storage-refused", "worker-lost"} <= codes
    for code in codes:
        assert f"| `{code}` |" in page


def test_every_alarm_is_in_the_reference(out: Path) -> None:
    page = reference(out, "metrics.md")
    assert "`LiveWorkers`" in page
    for metric in ("comfyq_build_info", "process_resident_memory_bytes"):
        assert f"| `{metric}` |" in page
    for line in (ROOT / "template.yaml").read_text().split("\n  "):
        name, _, rest = line.partition(":\n")
        if rest.startswith("    Type: AWS::CloudWatch::Alarm"):
            assert f"| `{name}` |" in page


def test_every_action_of_the_audit_log_is_told() -> None:
    text = (ROOT / "docs" / "how-to" / "keys.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[a-z`, -]+`) \|", text.partition("## Who did what")[2], re.MULTILINE)
    assert {word for cell in cells for word in re.findall(r"`(.+?)`", cell)} == set(AuditAction)


def test_every_kind_of_item_is_told() -> None:
    """Those of the table's partitions that the functions and workers were seen to use."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## The table")[2].partition("\n## ")[0]
    items = {
        right.partition.removesuffix("*") if "#" in right.partition else f"{right.partition}`"
        for rights in recorded().values()
        for right in rights
        if right.partition and "/index/" not in right.resource
    }
    assert {kind for kind in items if f"`{kind}" not in table} == set()


def test_the_cost_is_that_of_the_record() -> None:
    assert report() in (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


def test_the_front_page_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_bytes()
    assert len(text) <= 8_000
    for link in text.decode().split("](")[1:]:
        target, _, anchor = link.partition(")")[0].partition("#")
        assert "://" in target or (ROOT / target).exists(), target
        if anchor:
            assert anchor in anchors(ROOT / target)


def anchors(page: Path) -> set[str]:
    """Those of its headings, as GitHub and zensical make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}


def test_comments_stand_for_the_fields_beside_them() -> None:
    class Example:
        first: int = 1  # of the first
        second: str = "long"  # of the second
        third = 3

    assert comments_of(Example) == {"first": "of the first", "second": "of the second"}


def test_cells_hold_what_would_break_a_table() -> None:
    assert table(("a",), [("one\ntwo | three",)]).splitlines()[-1] == "| one two \\| three |"
    assert prose("``a`` and ``b``") == "`a` and `b`"


def test_fields_tell_type_default_and_bounds() -> None:
    schema = {
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."},
            "b": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
            "c": {"enum": ["x", "y"], "default": "x"},
        },
    }
    assert fields(schema).splitlines()[2:] == [
        "| `a` | integer | required | How many. (≥ 1, ≤ 9) |",
        "| `b` | [Thing](#thing) or null |  |  |",
        '| `c` | `x`, `y` | `"x"` |  |',
    ]


def test_the_configuration_fetches_nothing() -> None:
    theme = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]["theme"]
    assert theme["font"] is False
    assert set(REFERENCE) >= {"api.md", "cli.md", "settings.md", "errors.md", "metrics.md"}


def test_commands_of_groups_are_told_under_their_whole_name() -> None:
    assert "## `comfyq workflows check` { #comfyq-workflows-check }" in cli.page()


def test_the_whole_client_is_in_the_reference(out: Path) -> None:
    page = (out / "source/reference/python.md").read_text()
    methods = [
        name
        for kind in (client.Client, client.Job, client.Batch)
        for name in vars(kind)
        if not name.startswith("_")
    ]
    assert [name for name in methods if f"\n{name}(" not in page and f"`.{name}`" not in page] == []
    named = [name for name in client.__all__ if not name.startswith("Async")]
    assert [name for name in named if name not in page] == []
