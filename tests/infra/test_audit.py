"""`make audit`: what it could not ask about is never taken for what has no faults."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from infra.audit.__main__ import asked_of, judge, locks, pins

WANTED = ("left-pad==1.0", "Ruamel.yaml==2.0")
FAULT = {"id": "PYSEC-1", "fix_versions": ["1.1"]}


def entry(pin: str, *faults: dict[str, Any]) -> dict[str, Any]:
    name, _, version = pin.partition("==")
    return {"name": name, "version": version, "vulns": list(faults)}


@pytest.mark.parametrize(
    ("told", "code", "line"),
    [
        ([entry("left-pad==1.0"), entry("ruamel-yaml==2.0")], 0, "2 packages were asked about"),
        ([entry("left-pad==1.0")], 3, "NOT ASKED: 1 packages"),
        ([], 3, "NOT ASKED: 2 packages"),
        ([{"name": "left-pad", "skip_reason": "not found"}, entry(WANTED[1])], 3, "left-pad==1.0"),
        ([entry("left-pad==1.0", FAULT)], 1, "VULNERABLE: left-pad 1.0: PYSEC-1, mended in 1.1"),
    ],
)
def test_answers(told: list[dict[str, Any]], code: int, line: str) -> None:
    audit = judge(WANTED, {"dependencies": told})
    assert audit.code == code
    assert line in str(audit)


@pytest.mark.parametrize(
    ("prints", "code"),
    [(json.dumps({"dependencies": [entry(each) for each in WANTED]}), 0), ("", 3), ("oops", 3)],
)
def test_a_program_that_gives_no_answer_leaves_all_unasked(
    tmp_path: Path, prints: str, code: int
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert asked_of(str(program), WANTED).code == code


def test_every_package_of_every_lock_is_wanted() -> None:
    wanted = pins(locks())
    assert len(locks()) > 10
    assert {each.partition("==")[0] for each in wanted} >= {"fastapi", "boto3", "ruff", "pip-audit"}
