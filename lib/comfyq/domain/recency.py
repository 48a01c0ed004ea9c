"""How long ago something was, by a clock that may be set back."""

from datetime import datetime, timedelta


def is_recent(at: datetime, now: datetime, *, within: timedelta) -> bool:
    """Return whether ``at`` is less than ``within`` ago.

    What lies ahead of ``now`` is not: the clock was set back since, and nobody can say how long
    ago that was. Whoever took it for recent would do so until the clock has caught up, which may
    be hours.
    """
    return timedelta() <= now - at < within
