"""Normalisation of recordings: times, ids and the machine do not count."""

import json
import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

# Differs from run to run, or says more of the machine than of the protocol.
LEFT_OUT = {
    "create_time",
    "current_inputs",
    "current_outputs",
    "input_config",
    "max_upload_size",
    "number",
    "sid",
    "timestamp",
    "traceback",
}
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
COUNTER = re.compile(r"_\d{5}_")
TEMP_MARK = re.compile(r"ComfyUI_temp_[a-z]{5}")
MODEL_LIST = re.compile(r"not in \[.*\]")


def normal_tape(answers: list[Json], events: list[Json]) -> list[Json]:
    """Answers first, then events; each line an object with its kind."""
    normalized = [{"answer": normal(answer)} for answer in answers]
    return normalized + [{"event": event} for event in normal_events(events)]


def normal_events(events: Iterable[Json]) -> list[Json]:
    """The order of what happened, where all steps and previews of a node are one."""
    normalized: list[Json] = []
    last: dict[str, Json] = {}
    for event in map(_shortened, map(normal, events)):
        # steps and progress states alternate: each is compared with the last of its kind
        if event["type"] in ("step", "progress_state") and last.get(event["type"]) == event:
            continue
        last[event["type"]] = event
        normalized.append(event)
    return normalized


def _shortened(event: Json) -> Json:
    if event["type"] == "progress_state":
        nodes = event["data"]["nodes"]
        states = {node_id: at["state"] for node_id, at in nodes.items()}
        keys = sorted({key for at in nodes.values() for key in at})
        return {"type": event["type"], "states": states, "keys": keys}
    if event["type"] == "feature_flags":  # what else a server can do differs by generation
        return event | {"data": sorted(set(event["data"]) & {"supports_preview_metadata"})}
    if event["type"].startswith("frame") or event["type"] == "progress":
        return {"type": "step", "node": event["data"].get("node", event["data"].get("node_id"))}
    return event


def normal(value: Any) -> Any:
    """Without what changes from run to run; names of the keys that are left out are kept."""
    if isinstance(value, dict):
        return {_said(key): _kept(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return _said(value) if isinstance(value, str) else value


def _kept(key: str, value: Any) -> Any:
    if key in LEFT_OUT:
        return "..."
    if key == "executed" and isinstance(value, list):  # a set in ComfyUI
        return sorted(value)
    if key == "prompt" and isinstance(value, list):
        return _row(value)
    if key in ("queue_running", "queue_pending"):
        return [_row(row) for row in value]
    return normal(value)


def _row(row: list[Any]) -> list[Any]:
    _, prompt_id, _, extra_data, outputs = row  # the number depends on what ran before
    return ["number", normal(prompt_id), "graph", normal(extra_data), sorted(outputs)]


def _said(text: str) -> str:
    text = UUID.sub("ID", text)
    text = COUNTER.sub("_N_", TEMP_MARK.sub("ComfyUI_temp_MARK", text))
    return MODEL_LIST.sub("not in [...]", text)


def as_lines(recording: Iterable[Json]) -> list[str]:
    """One string a line, for differences that can be read."""
    return [json.dumps(line, sort_keys=True) for line in recording]
