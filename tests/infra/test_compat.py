"""Reading and writing of `make compat`; it alone runs the look-alikes themselves."""

from pathlib import Path

import pytest

from infra.compat.catalogue import LOOK_ALIKES
from infra.compat.launches import free_ports
from infra.compat.lookalike import LookAlike, NotHere
from infra.compat.packages import HERE, ROOT, pinned
from infra.compat.report import Result, load_notes, table, unexplained
from infra.compat.server import Server
from infra.compat.suites import Failure, Outcome, read
from infra.marked_part import rewrite

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
<testcase classname="a" name="test_one[sqs]" time="0.1" />
<testcase classname="a" name="test_two[sqs]"><failure message="assert 1 == 2&#10;more">x</failure>
</testcase>
<testcase classname="a" name="test_three[sqs]"><error message="failed on setup">x</error></testcase>
<testcase classname="a" name="test_four[sqs]"><skipped message="no" /></testcase>
</testsuite></testsuites>
"""


def look_alike(**fields: object) -> LookAlike:
    kind = next(kind for kind in LOOK_ALIKES if kind.name == "fauxqs")
    return LookAlike(**{**vars(kind), "services": ("sqs",), **fields})


def test_pytests_report_is_read(tmp_path: Path) -> None:
    (report := tmp_path / "report.xml").write_text(REPORT)
    outcome = read(report)
    assert (outcome.passed, outcome.ran, outcome.skipped) == (1, 3, 1)
    assert outcome.failures == [
        Failure("test_two[sqs]", "assert 1 == 2"),
        Failure("test_three[sqs]", "failed on setup"),
    ]


def test_each_fault_is_told_once_and_what_was_not_run_has_a_reason() -> None:
    failures = [Failure(f"test_a[{name}]", "odd") for name in ("s3", "minio")]
    failures.append(Failure("test_b[s3]", "1 | 2"))
    ran = Result(look_alike(), {"sqs": Outcome(5, failures)}, kept={"sqs": 50})
    absent = Result(look_alike(name="other"), absent="no package")
    notes = {("fauxqs", "test_a"): "links do not end"}
    lines = table([ran, absent], notes).splitlines()
    assert lines[2].endswith("| 5 of 8 | all kept | links do not end; `test_b[s3]`: 1 / 2 |")
    assert lines[3].endswith("| not run here |  | no package |")
    assert unexplained([ran, absent], notes) == ["fauxqs: test_b[s3]: 1 | 2"]


def test_what_is_half_kept_is_told() -> None:
    def kept(count: int | None) -> str:
        lost = {} if count is None else {"sqs": count}
        return table([Result(look_alike(), {"sqs": Outcome(1)}, kept=lost)], {}).splitlines()[2]

    assert "| all lost |" in kept(0)
    assert "| 49 of 50 kept |" in kept(49)
    assert "| not tried |" in kept(None)


def test_only_its_part_of_a_document_is_written_anew(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("a\n<!-- b -->\nold\n<!-- /b -->\nc", "utf-8")
    rewrite(document, "b", "new")
    assert document.read_text("utf-8") == "a\n<!-- b -->\nnew\n<!-- /b -->\nc"
    with pytest.raises(LookupError, match="no part"):
        rewrite(document, "d", "new")


def test_the_document_has_every_look_alike() -> None:
    document = ROOT / "docs" / "compatibility.md"
    _, _, rest = document.read_text(encoding="utf-8").partition("<!-- compatibility -->")
    written = rest.partition("<!-- /compatibility -->")[0]
    for kind in LOOK_ALIKES:
        assert written.count(f"| {kind.name}") >= len(kind.services)
        assert kind.package in written


def test_every_note_is_about_a_test_that_is_there() -> None:
    names = {kind.name for kind in LOOK_ALIKES}
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "contract").rglob("test_*.py"))
    for name, test in load_notes(HERE / "notes.toml"):
        assert name in names
        assert f"def {test}(" in tests


def test_versions_come_from_where_they_are_pinned() -> None:
    assert pinned("ministack") in (ROOT / "infra" / "emulator" / "requirements.lock").read_text()
    assert pinned("localstack-core") in (HERE / "localstack.lock").read_text()
    with pytest.raises(LookupError):
        pinned("nothing")


def test_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_what_listens_everywhere_is_not_started_where_others_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.compat.server.is_isolated", lambda: False)
    with pytest.raises(NotHere, match=r"infra/namespace\.sh"):
        Server(look_alike())
