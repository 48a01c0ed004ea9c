"""Runs what the ports promise of a service against a server, and reads what pytest reports."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from infra.compat.lookalike import NotHere
from infra.compat.packages import ROOT

TIMEOUT_S = 600
MAX_REASON = 120  # characters


@dataclass(frozen=True)
class Failure:
    test: str  # test_a_link_ends[s3]
    reason: str  # the first line of what pytest says


@dataclass(frozen=True)
class Outcome:
    passed: int
    failures: Sequence[Failure] = ()
    skipped: int = 0

    @property
    def ran(self) -> int:
        return self.passed + len(self.failures)


def run(service: str, url: str) -> Outcome:
    """The contract tests that are marked with ``service``.

    Raises:
        NotHere: pytest did not come to an end, or found nothing to run.
    """
    with tempfile.TemporaryDirectory(prefix="comfyq-compat-") as folder:
        report = Path(folder) / "report.xml"
        pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        try:
            subprocess.run(
                [*pytest, "tests/contract", "-m", service, f"--junitxml={report}"],
                cwd=ROOT,
                env={
                    "PATH": os.getenv("PATH", os.defpath),
                    "HOME": folder,
                    f"AWS_ENDPOINT_URL_{service.upper()}": url,
                },
                stdout=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,  # its report tells more than its exit code
            )
        except subprocess.TimeoutExpired as slow:
            raise NotHere(f"the tests took longer than {TIMEOUT_S} s") from slow
        if not report.exists():
            raise NotHere("pytest wrote no report")
        outcome = read(report)
    if not outcome.ran:
        raise NotHere("no test ran")
    return outcome


def read(report: Path) -> Outcome:
    """The outcome in a report of pytest in JUnit's XML."""
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314
    failures = [failure for case in cases if (failure := _failure(case)) is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Outcome(len(cases) - len(failures) - skipped, failures, skipped)


def _failure(case: ElementTree.Element) -> Failure | None:
    for kind in ("failure", "error"):
        found = case.find(kind)
        if found is not None:
            reason = found.get("message", "").splitlines() or ["no reason given"]
            return Failure(case.get("name", "?"), reason[0][:MAX_REASON])
    return None
