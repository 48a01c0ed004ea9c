"""Judging the figures and answers of a deployment."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from textwrap import shorten
from typing import Any

from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.submission.node_rules import ALLOWED, DENIED
from comfyq.ports.gauge import Depth

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MAX_SKEW_S = 300  # of a signature
SUSPECT_SKEW_S = 30

REASON_CHARS = 150

SET_CLOCK = "set this machine's clock right, by NTP"


def judge_clock(subject: str, skew: timedelta) -> Finding:
    """Judge this machine's clock; ``skew`` is how far the other clock is ahead of it."""
    off_s = abs(skew.total_seconds())
    where = "behind" if skew > timedelta() else "ahead"
    offset = f"this machine's is {off_s:.0f} s {where}"
    if off_s >= MAX_SKEW_S:
        return Finding(subject, FindingState.WRONG, f"{offset}: AWS refuses its calls", SET_CLOCK)
    if off_s >= SUSPECT_SKEW_S:
        return Finding(
            subject, FindingState.WARNING, f"{offset}; AWS allows {MAX_SKEW_S} s", SET_CLOCK
        )
    return Finding(subject, FindingState.OK, f"right to {max(off_s, 1):.0f} s")


def judge_depth(subject: str, depth: Depth) -> Finding:
    counts = f"{depth.waiting} waiting, {depth.in_flight} in work"
    if depth.waiting and not depth.in_flight:
        remedy = "if this lasts, no worker takes them: look at the workers' logs"
        return Finding(subject, FindingState.WARNING, counts, remedy)
    return Finding(subject, FindingState.OK, counts)


def judge_dead(subject: str, depth: Depth) -> Finding:
    """Judge the depth of a dead-letter queue, which a running reaper empties within a minute."""
    count = depth.waiting + depth.in_flight
    if not count:
        return Finding(subject, FindingState.OK, "none")
    remedy = "if they stay, the reaper is not running: look at its log"
    return Finding(subject, FindingState.WARNING, f"{count} not yet taken by the reaper", remedy)


def judge_kept(count: int, *, more: bool) -> Finding:
    """Judge the stored dead letters; ``count`` is how many the API's first page lists."""
    subject = "dead letters"
    if not count:
        return Finding(subject, FindingState.OK, "none")
    kept = f"{count}{' or more' if more else ''} that the queues gave up on"
    remedy = "`comfyq dead list` shows why, `comfyq dead redrive ID` sends one again"
    return Finding(subject, FindingState.WARNING, kept, remedy)


def judge_obstacles(workflow: str, reasons: Sequence[str], *, folder: str, url: str) -> Finding:
    """Tell that a workflow cannot run where ``reasons`` were found, of which there may be many."""
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    told = f"cannot run: {shorten(reasons[0], REASON_CHARS, placeholder=' …')}{more}"
    remedy = f"`comfyq workflows check {folder} --comfyui {url}` lists all"
    return Finding(f"workflow {workflow}", FindingState.WARNING, told, remedy)


def judge_forbidden(workflow: str, reasons: Sequence[str]) -> Finding:
    """Tell that a workflow may not run by the operator's own lists of node classes."""
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    told = f"may not run: {shorten(reasons[0], REASON_CHARS, placeholder=' …')}{more}"
    is_denied = any(DENIED in reason for reason in reasons)
    lists = (
        f"take what forbids it out of {DENIED}" if is_denied else f"allow its classes by {ALLOWED}"
    )
    remedy = f"{lists}, or remove the workflow"
    return Finding(f"workflow {workflow}", FindingState.WARNING, told, remedy)


def judge_workers(health: Mapping[str, Any]) -> list[Finding]:
    """Judge the workers; ``health`` is the body of GET /health."""
    subject = "workers"
    live = health["workers"]
    if live is None:  # it is told to who shows a key
        return [_unseen(subject, health)]
    count = f"{len(live)} live"
    if health["status"] != "healthy":
        if live and not health["comfyui_available"]:
            remedy = "start ComfyUI, or name another with --comfyui; jobs wait meanwhile"
        elif any(not worker["draining"] for worker in live):
            remedy = "do what it says; what was accepted waits meanwhile"  # such as to free space
        else:
            remedy = "start a worker, or read the log of those that run: docs/deploy.md"
        return [Finding(subject, FindingState.WRONG, f"{count}: {health['reason']}", remedy)]
    if not live:
        return [Finding(subject, FindingState.OK, f"{count}: {health['reason']}")]
    return [Finding(subject, FindingState.OK, count), *_oddities(health)]


def _unseen(subject: str, health: Mapping[str, Any]) -> Finding:
    remedy = "set COMFYQ_API_KEY: whom the server knows, it tells why, and of its workers"
    if health["status"] != "healthy":
        return Finding(subject, FindingState.WRONG, "no job would run now", remedy)
    return Finding(subject, FindingState.OK, "jobs run; with COMFYQ_API_KEY set it tells more")


def _oddities(health: Mapping[str, Any]) -> list[Finding]:
    findings = []
    away = [worker["id"] for worker in health["workers"] if not worker["comfyui_available"]]
    if away:
        named = [each for each in away if each is not None]
        which = ", ".join(named) or f"{len(away)} of {len(health['workers'])} workers"
        remedy = "`comfyq health` shows why"
        findings.append(
            Finding("ComfyUI", FindingState.WARNING, f"does not answer: {which}", remedy)
        )
    if health["simulated"]:
        observed = "only simulated ones answer"
        findings.append(
            Finding("ComfyUI", FindingState.WARNING, observed, "give workers a real one: --comfyui")
        )
    others = {worker["version"] for worker in health["workers"]} - {health["version"]}
    if others:
        observed = f"workers run {', '.join(sorted(others))}, the API {health['version']}"
        findings.append(Finding("versions", FindingState.WARNING, observed, "update what is older"))
    return findings
