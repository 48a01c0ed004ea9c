"""Findings on the terminal, and the exit code that they deserve."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer

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
    for finding in findings:
        state = typer.style(f"{finding.state:8}", fg=COLORS[finding.state])
        typer.echo(f"{state} {finding.subject:{width}}  {finding.told}")
        if finding.remedy:
            typer.echo(f"{'':8} {'':{width}}  → {finding.remedy}")
