"""The table of docs/compatibility.md."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.compat.lookalike import LookAlike
from infra.compat.probes import COUNT
from infra.compat.suites import Failure, Outcome

RULE = "|---" * 5 + "|"
SERVICES = {"dynamodb": "DynamoDB", "sqs": "SQS", "s3": "S3"}


@dataclass(frozen=True)
class Result:
    """One look-alike; what is missing from ``outcomes`` is told by ``absent``."""

    kind: LookAlike
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)  # by service
    kept: Mapping[str, int] = field(default_factory=dict)  # by service: of COUNT, after kill -9
    absent: str | None = None  # why not everything was run


Notes = Mapping[tuple[str, str], str]  # by name and test, without its parameters


def load_notes(path: Path) -> Notes:
    """Read the notes on failing tests."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["wrong"]
    return {(entry["name"], entry["test"]): entry["what"] for entry in entries}


def table(results: Sequence[Result], notes: Notes) -> str:
    """Markdown: a line for each service of each look-alike."""
    head = ["| service | look-alike | passes | after kill -9 | what it gets wrong |", RULE]
    rows = [
        _row(service, result, notes)
        for service in SERVICES
        for result in results
        if service in result.kind.services
    ]
    return "\n".join([*head, *rows])


def unexplained(results: Iterable[Result], notes: Notes) -> list[str]:
    """Failing tests that no note explains."""
    return sorted(
        {
            f"{result.kind.name}: {failure.test}: {failure.reason}"
            for result in results
            for outcome in result.outcomes.values()
            for failure in outcome.failures
            if (result.kind.name, _plain(failure)) not in notes
        }
    )


def _row(service: str, result: Result, notes: Notes) -> str:
    outcome = result.outcomes.get(service)
    cells = [SERVICES[service], _name(result.kind)]
    if outcome is None:
        cells += ["not run here", "", result.absent or "?"]
    else:
        cells += [
            f"{outcome.passed} of {outcome.ran}",
            _kept(result.kept.get(service)),
            "; ".join(_wrongs(result.kind.name, outcome, notes)) or "nothing that is tested",
        ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _name(kind: LookAlike) -> str:
    package = f" ({kind.package})" if kind.package else ""
    options = f" with `{kind.options}`" if kind.options else ""
    return f"{kind.name}{package}{options}"


def _kept(count: int | None) -> str:
    match count:
        case None:
            return "not tried"
        case 0:
            return "all lost"
        case _ if count == COUNT:
            return "all kept"
        case _:
            return f"{count} of {COUNT} kept"


def _wrongs(name: str, outcome: Outcome, notes: Notes) -> list[str]:
    """In the order of the tests, each once; both clients of S3 meet the same fault."""
    told = (
        notes.get((name, _plain(failure)), f"`{failure.test}`: {failure.reason}")
        for failure in outcome.failures
    )
    return list(dict.fromkeys(told))


def _plain(failure: Failure) -> str:
    return failure.test.partition("[")[0]
