"""Findings on the terminal, and the exit code that they deserve."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Console

from comfyq.cli.errors import ExitCode
from comfyq.domain.diagnosis import Finding, is_sound

COLORS = {"ok": "green", "warning": "yellow", "wrong": "red"}


def report(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings; raises Exit if something is wrong."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _print(findings)
    if not is_sound(findings):
        raise typer.Exit(ExitCode.JOB_FAILED)


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    is_plain = Console().no_color  # as who set NO_COLOR wants it
    for finding in findings:
        state = f"{finding.state:8}"
        if not is_plain:
            state = typer.style(state, fg=COLORS[finding.state])
        typer.echo(f"{state} {finding.subject:{width}}  {finding.told}")
        if finding.remedy:
            typer.echo(f"{'':8} {'':{width}}  → {finding.remedy}")
