from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTiming:
    """Time limits of the engine, in seconds."""

    connect_s: float = 5.0
    call_s: float = 30.0
    """A whole HTTP call; downloads have `fetch_idle_s` instead."""
    fetch_idle_s: float = 30.0
    """Between two chunks of a download."""

    poll_s: float = 1.0
    """Without news of a prompt for so long, its follower looks at the queue and the history."""
    poll_down_s: float = 0.25
    """The same while the socket is down, or after a look that settled nothing."""
    settle_s: float = 0.05
    """From the first sign of a run's end to a look, if ComfyUI's last word does not come."""
    history_lag_s: float = 5.0
    """A run whose end was announced is not lost before it has been absent for so long."""
    unavailable_s: float = 10.0
    """A follower gives up after ComfyUI has not answered for so long."""

    heartbeat_s: float = 20.0
    """Between pings on the socket; loading a model can keep ComfyUI from answering for seconds."""
    suspect_s: float = 0.25
    """A socket that seems deaf is given up if nothing at all is heard for so long."""
    close_s: float = 1.0
    """For ComfyUI's answer to our close frame."""
    backoff_min_s: float = 0.1
    backoff_max_s: float = 2.0
    """Before the socket is opened again; doubled from the least to the most, with jitter."""

    submit_pauses_s: tuple[float, ...] = (0.1, 0.4, 1.0)
    """Before each further POST of a prompt, with jitter."""
    cancel_looks_s: tuple[float, ...] = (0.05, 0.2, 0.75)
    """From each stroke of a cancel to the look whether it did anything."""
