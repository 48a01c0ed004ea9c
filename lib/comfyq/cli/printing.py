"""Jobs and servers as people read them."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from comfyq.cli.client import Json
from comfyq.cli.texts.controls import visible
from comfyq.cli.texts.provisioning import fetched
from comfyq.cli.texts.workers import comfyui_of, held_jobs, stored_models

PIPE_COLUMNS = 200  # wide enough that nothing wraps where no terminal sets a limit
ROOMY_COLUMNS = 100  # what a list of jobs needs
WIDE_COLUMNS = 150  # and one with titles
LEAST_COLUMNS = 60  # in which an id has a line of its own
FULL_TIME = "%Y-%m-%d %H:%M:%S"
SHORT_TIME = "%m-%d %H:%M"
COLORS = {
    "queued": "yellow",
    "running": "cyan",
    "completed": "green",
    "succeeded": "green",
    "healthy": "green",
    "failed": "red",
    "canceled": "magenta",
    "degraded": "red",
}

Line = tuple[str, str | Text | None]


def print_json(value: object) -> None:
    typer.echo(json.dumps(value))


def print_job(job: Json) -> None:
    _print_lines(_job_lines(job))


def print_story(story: Json) -> None:
    """Print a job's request, and each of its attempts."""
    parameters = [(name, _value(value)) for name, value in story["parameters"].items()]
    _print_lines([*_job_lines(story), ("failures", str(story["failures"])), *parameters])
    now = story.get("running_attempt")
    going_on = []
    if now:
        verdict = "running" if now["started_at"] else "claimed"
        going_on = [now | {"ended_at": None, "verdict": verdict, "reason": None}]
    if not (attempts := [*story["attempts"], *going_on]):
        return
    table = _table("attempt", "worker", "claimed", "waited", "ran", "verdict", "reason")
    for attempt in attempts:
        begun = attempt["started_at"]
        _add_row(
            table,
            str(attempt["number"]),
            attempt["worker"],
            _time(attempt["claimed_at"]),
            _seconds(attempt["claimed_at"], begun),
            _seconds(begun, attempt["ended_at"]),
            _colored(attempt["verdict"]),
            attempt["reason"] or "",
        )
    _console().print(table)


def print_jobs(page: Json) -> None:
    """Print a page of jobs; in 80 columns each id stays whole, to be copied."""
    console = _console()
    is_narrow = console.width < ROOMY_COLUMNS
    has_place = not is_narrow or any(map(_place, page["jobs"]))
    has_titles = console.width >= WIDE_COLUMNS and any(job.get("title") for job in page["jobs"])
    has_labels = any(job.get("labels") for job in page["jobs"])
    is_held_up = any(job.get("waits_for") for job in page["jobs"])
    columns = ("id", "status", "done" if is_narrow else "progress")
    more = (*(("place",) if has_place else ()), "workflow", "created")
    more += (*(("title",) if has_titles else ()), *(("labels",) if has_labels else ()))
    more += ("waits for",) if is_held_up else ()
    table = _table(*columns, *more)
    for job in page["jobs"]:
        _add_row(
            table,
            job["id"],
            _colored(job["status"]),
            f"{job['progress']:.0%}",
            *((_place(job),) if has_place else ()),
            job["workflow"],
            _time(job["created_at"], SHORT_TIME if is_narrow else FULL_TIME),
            *((job.get("title") or "",) if has_titles else ()),
            *((_labels(job) or "",) if has_labels else ()),
            *((job.get("waits_for") or "",) if is_held_up else ()),
        )
    console.print(table)
    if page["next_cursor"]:
        _print_lines([("more", f"--cursor {page['next_cursor']}")])


def _labels(job: Json) -> str | None:
    return " ".join(f"{name}={value}" for name, value in job.get("labels", {}).items()) or None


def _place(job: Json) -> str:
    """Say where a job stands in the queue, as a bound if it is far back."""
    if above := job.get("queue_position_above"):
        return f"{above}+"
    position = job.get("queue_position")
    return "" if position is None else str(position)


def print_batches(page: Json, batches: Sequence[Json]) -> None:
    """Print a page of batches, each as it is now."""
    table = _table("id", "requests", "states", "canceled", "created")
    for batch in batches:
        canceled = "canceled" if _is_canceled(batch) else ""
        created = _time(batch["created_at"])
        _add_row(table, batch["batch_id"], str(batch["size"]), counts_of(batch), canceled, created)
    _console().print(table)
    if page["next_cursor"]:
        _print_lines([("more", f"--cursor {page['next_cursor']}")])


def print_batch(batch: Json) -> None:
    _print_lines(
        [
            ("batch", batch["batch_id"]),
            ("status", "ended" if batch["done"] else f"{batch['progress']:.0%} done"),
            ("requests", f"{batch['size']}: {counts_of(batch)}"),
            ("canceled", "its cancellation was asked for" if _is_canceled(batch) else None),
            ("created", _time(batch["created_at"])),
        ]
    )


def _is_canceled(batch: Json) -> bool:
    """Return whether a cancellation shows: retries may have completed what it ended."""
    return bool(batch["canceled"] and (batch["counts"]["canceled"] or not batch["done"]))


def counts_of(batch: Json) -> str:
    """Say how many requests of a batch are in each state."""
    return ", ".join(f"{count} {where}" for where, count in batch["counts"].items() if count)


def _paused(receivers: int | None) -> str | None:
    if not receivers:
        return None
    return f"paused receivers: {receivers}; `comfyq webhooks show` names a tenant's"


def print_health(health: Json) -> None:
    _print_lines(
        [
            ("status", _colored(health["status"])),
            ("reason", health["reason"]),
            ("ComfyUI", "simulated: no picture is real" if health["simulated"] else None),
            ("broken", _broken(health.get("broken_workflows"))),
            ("webhooks", _paused(health.get("paused_webhook_receivers"))),
            ("comfyq", health["version"]),
        ]
    )
    if health["workers"] is None:
        typer.echo("The server tells more to who shows it a key: set COMFYQ_API_KEY", err=True)
    if not health["workers"]:
        return
    table = _table("worker", "ComfyUI", "devices", "jobs")
    for worker in health["workers"]:
        _add_row(
            table,
            worker["id"] or "-",
            comfyui_of(worker),
            ", ".join(worker["devices"]),
            held_jobs(worker),
        )
    _console().print(table)


def print_workers(workers: Sequence[Json]) -> None:
    """Print workers as administrators see them."""
    columns = ("worker", "host", "ComfyUI", "devices", "models", "jobs")
    has_store = any(stored_models(worker) for worker in workers)
    is_faulty = any(worker["faults"] or worker["draining"] for worker in workers)
    store, none = ["store"] * has_store, ["takes none"] * is_faulty
    table = _table(*columns, *store, *none)
    for worker in workers:
        simulated = " (simulated)" if worker["simulated"] else ""
        draining = ["draining"] if worker["draining"] else []
        _add_row(
            table,
            worker["id"],
            worker["host"],
            f"{worker['comfyui_version'] or '-'}{simulated}",
            ", ".join(worker["devices"]),
            worker["family"] or "",
            ", ".join(f"{job['id']} {job['progress']:.0%}" for job in worker["jobs"]),
            *([stored_models(worker)] * has_store),
            *(("; ".join([*worker["faults"], *draining]),) if is_faulty else ()),
        )
    _console().print(table)


def _broken(workflows: Sequence[str] | None) -> str | None:
    """Name the workflows that are not served; an older server does not."""
    if not workflows:
        return None
    return f"workflow {', '.join(workflows)}: not served; `comfyq workflows check` says why"


def _job_lines(job: Json) -> Sequence[Line]:
    progress = f" {job['progress']:.0%}" if job["status"] == "running" else ""
    asked = ", cancel requested" if _cancels(job) else ""
    warnings = [("warning", warning) for warning in job["warnings"]]
    outputs = [(f"output {each['index']}", each["url"]) for each in job["outputs"]]
    return [
        ("job", job["id"]),
        ("status", _colored(job["status"]).append(progress + asked, style="default")),
        ("ComfyUI", "simulated: no picture is real" if job.get("simulated") else None),
        ("workflow", job["workflow"]),
        ("title", job.get("title")),
        ("labels", _labels(job)),
        ("retry of", job.get("retry_of")),
        ("seed", None if job["seed"] is None else str(job["seed"])),
        ("created", _time(job["created_at"])),
        ("waited", _seconds(job["created_at"], job["started_at"])),
        ("ran", _seconds(job["started_at"], job["ended_at"])),
        ("place", _place(job)),
        ("waits for", job.get("waits_for")),
        ("fetched", fetched(at) if (at := job.get("provisioning")) else None),
        *warnings,
        ("error", job["error"]),
        ("code", job.get("error_code")),
        *outputs,
    ]


def _cancels(job: Json) -> bool:
    return job["cancel_requested"] and not job["ended_at"]


def _print_lines(lines: Iterable[Line]) -> None:
    """Names and values in two columns, without those that have no value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in lines:
        if value:
            _add_row(table, name, value)
    _console().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        is_id = number == 0 and _console().width >= LEAST_COLUMNS
        table.add_column(column, overflow="fold", no_wrap=is_id)
    return table


def _add_row(table: Table, *cells: str | Text) -> None:
    """Add a row whose texts are shown as they are: a table would take ``[dev]`` as markup."""
    table.add_row(*(Text(visible(cell)) if isinstance(cell, str) else cell for cell in cells))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)


def _colored(status: str) -> Text:
    return Text(status, style=COLORS.get(status, "default"))


def _value(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _time(text: str, form: str = FULL_TIME) -> str:
    return datetime.fromisoformat(text).astimezone().strftime(form)


def _seconds(start: str | None, end: str | None) -> str:
    if start is None or end is None:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds:.2f} s"
