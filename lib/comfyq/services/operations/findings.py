"""Judging the figures and answers of a deployment."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.ports.gauge import Depth

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MAX_SKEW_S = 300  # of a signature
SUSPECT_SKEW_S = 30

SET_CLOCK = "set this machine's clock right, by NTP"


def judge_clock(subject: str, skew: timedelta) -> Finding:
    """``skew``: how far the other clock is ahead of this machine's."""
    off_s = abs(skew.total_seconds())
    where = "behind" if skew > timedelta() else "ahead"
    told = f"this machine's is {off_s:.0f} s {where}"
    if off_s >= MAX_SKEW_S:
        return Finding(subject, FindingState.WRONG, f"{told}: AWS refuses its calls", SET_CLOCK)
    if off_s >= SUSPECT_SKEW_S:
        return Finding(
            subject, FindingState.WARNING, f"{told}; AWS allows {MAX_SKEW_S} s", SET_CLOCK
        )
    return Finding(subject, FindingState.OK, f"right to {max(off_s, 1):.0f} s")


def judge_depth(subject: str, depth: Depth) -> Finding:
    told = f"{depth.waiting} waiting, {depth.in_flight} in work"
    if depth.waiting and not depth.in_flight:
        remedy = "if that lasts, nobody takes them: look at the workers"
        return Finding(subject, FindingState.WARNING, told, remedy)
    return Finding(subject, FindingState.OK, told)


def judge_dead(subject: str, depth: Depth) -> Finding:
    """The reaper takes what is there within a minute, and keeps it readable."""
    count = depth.waiting + depth.in_flight
    if not count:
        return Finding(subject, FindingState.OK, "none")
    remedy = "if they stay, the reaper does not run: look at its log"
    return Finding(subject, FindingState.WARNING, f"{count} not yet taken by the reaper", remedy)


def judge_buried(count: int, *, more: bool) -> Finding:
    """``count``: dead letters that the API lists on its first page."""
    subject = "dead letters"
    if not count:
        return Finding(subject, FindingState.OK, "none")
    told = f"{count}{' or more' if more else ''} that the queues gave up on"
    remedy = "`comfyq dead list` tells why, `comfyq dead redrive ID` sends one again"
    return Finding(subject, FindingState.WARNING, told, remedy)


def judge_workers(health: Mapping[str, Any]) -> list[Finding]:
    """``health``: what GET /health answers."""
    subject = "workers"
    live = health["workers"]
    told = f"{len(live)} live"
    if health["status"] != "healthy":
        remedy = "start a worker, or read the log of those that run: docs/deploy.md"
        return [Finding(subject, FindingState.WRONG, f"{told}: {health['reason']}", remedy)]
    if not live:
        return [Finding(subject, FindingState.OK, f"{told}: {health['reason']}")]
    return [Finding(subject, FindingState.OK, told), *_oddities(health)]


def _oddities(health: Mapping[str, Any]) -> list[Finding]:
    found = []
    away = [worker["id"] for worker in health["workers"] if not worker["comfyui_available"]]
    if away:
        remedy = "`comfyq health` tells why"
        found.append(
            Finding("ComfyUI", FindingState.WARNING, f"does not answer: {', '.join(away)}", remedy)
        )
    if health["simulated"]:
        told = "only simulated ones answer"
        found.append(
            Finding("ComfyUI", FindingState.WARNING, told, "give workers a real one: --comfyui")
        )
    others = {worker["version"] for worker in health["workers"]} - {health["version"]}
    if others:
        told = f"workers run {', '.join(sorted(others))}, the API {health['version']}"
        found.append(Finding("versions", FindingState.WARNING, told, "update what is older"))
    return found
