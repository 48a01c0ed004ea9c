"""The reference of the errors: codes from the code, their meaning from errors.toml.

A code without a meaning, or a meaning without a code, is a LookupError: the page cannot be made.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from comfyq.cli.errors import ExitCode
from infra.docs.codes import job_codes, problem_codes
from infra.docs.comments import comments_of
from infra.docs.markdown import code, table, whole_page

MEANINGS = Path(__file__).with_name("errors.toml")

INTRODUCTION = """\
Codes never change once they are released; texts may. Match on the code."""

PROBLEMS = """\
An answer of 4xx or 5xx is a problem document (RFC 9457, `application/problem+json`): `code`,
`status`, `title`, `detail` for a person, and `errors`, a list of `{"field": …, "message": …}`
that names every bad field. Refused graphs carry ComfyUI's own `node_errors` as well. Where
waiting helps, `Retry-After` says for how long. The same codes stand in error frames of the
WebSocket, and in the refused requests of a batch."""

JOBS = """\
`error_code` of a job whose status is `failed`; `error` is the text for a person. A file that a
job brings along and that is of no use fails it with `input-unavailable`, `input-invalid` or
`input-forbidden`, a request from the queue that cannot be run with the code that HTTP would have
answered. “Tried again” is what the worker does before the job fails; a workflow's `max_attempts`
bounds it."""

EXITS = "Every command of `comfyq` ends with one of these."


def page() -> str:
    meanings = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    problems, jobs = problem_codes(), job_codes()
    _compare("problem", problems, meanings["problem"])
    _compare("job", jobs, meanings["job"])
    return whole_page(
        "Errors",
        INTRODUCTION,
        "## Problem documents",
        PROBLEMS,
        table(
            ("code", "status", "meaning", "what to do"),
            [
                (code(name), str(problems[name].value), text["meaning"], text["do"])
                for name, text in meanings["problem"].items()
            ],
        ),
        "## Failed jobs",
        JOBS,
        table(
            ("code", "meaning", "tried again", "what to do"),
            [
                (code(name), text["meaning"], text["again"], text["do"])
                for name, text in meanings["job"].items()
            ],
        ),
        "## Exit codes",
        EXITS,
        table(("code", "meaning"), _exit_codes()),
    )


def _compare(kind: str, codes: Iterable[str], meanings: Mapping[str, object]) -> None:
    missing, stale = set(codes) - set(meanings), set(meanings) - set(codes)
    if missing or stale:
        raise LookupError(
            f"{MEANINGS.name} [{kind}]: add {sorted(missing) or 'nothing'}, "
            f"remove {sorted(stale) or 'nothing'}"
        )


def _exit_codes() -> list[tuple[str, str]]:
    comments = _enum_comments()
    return [
        (
            str(each.value),
            " ".join([each.name.lower().replace("_", " "), comments.get(each.name, "")]),
        )
        for each in ExitCode
    ]


def _enum_comments() -> Mapping[str, str]:
    return {name: f"({text})" for name, text in comments_of(ExitCode).items()}
