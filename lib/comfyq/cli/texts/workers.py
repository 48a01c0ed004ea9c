"""Texts about workers in tables."""

from comfyq.client.messages import Json


def stored_models(worker: Json) -> str:
    """Say how many models a worker holds and may fetch, which an older server does not tell."""
    count, room = len(worker.get("models", ())), worker.get("models_room")
    held = [f"{count} model{'s' * (count != 1)}"] if count or room is not None else []
    more = [] if room is None else [f"room for {room / 10**9:.1f} GB"]
    return ", ".join([*held, *more])


def comfyui_of(worker: Json) -> str:
    if not worker["comfyui_available"]:
        return f"away: {worker['reason']}"
    simulated = " (simulated)" if worker["simulated"] else ""
    return f"{worker['comfyui_version']}{simulated}"


def held_jobs(worker: Json) -> str:
    """Say how many jobs a worker holds, which a server with API keys does not tell everyone."""
    held = [] if worker["jobs"] is None else [str(len(worker["jobs"]))]
    foreign = worker.get("foreign_prompts")  # an older server has none
    behind = [f"behind {foreign} of others"] if foreign else []
    return ", ".join([*held, *behind, *(["draining"] if worker["draining"] else [])])
