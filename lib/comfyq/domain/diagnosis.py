"""Findings of a look at a deployment."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, or may; somebody should look
    WRONG = "wrong"  # jobs do not run, or not all of them


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str  # what was looked at: "table: read"
    state: FindingState
    told: str  # what was observed, for a person; a public field of `infra check --json`
    remedy: str | None = None  # what to do; None: nothing


def is_sound(findings: Iterable[Finding]) -> bool:
    return all(finding.state is not FindingState.WRONG for finding in findings)
