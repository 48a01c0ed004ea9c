"""The number of examples that properties are tried with.

An everyday run tries few; ``pytest --hypothesis-profile thorough`` (``make verify``) tries many
times as many. No example has a deadline: the cores may be shared.
"""

from hypothesis import settings

EVERYDAY_EXAMPLES = 25
THOROUGH_EXAMPLES = 1_000
EVERYDAY_PART = 0.05  # of the thorough examples, where a property has a share of its own

settings.register_profile(
    "everyday", settings.default, max_examples=EVERYDAY_EXAMPLES, deadline=None
)
settings.register_profile(
    "thorough", settings.default, max_examples=THOROUGH_EXAMPLES, deadline=None
)
settings.load_profile("everyday")


def share(part: float) -> int:
    """Return that part of the thorough examples; every day a twentieth of it, and no more than
    other properties are tried with."""
    profile = settings.default or settings()
    many = int(part * THOROUGH_EXAMPLES)
    is_thorough = profile.max_examples == THOROUGH_EXAMPLES
    return many if is_thorough else min(int(many * EVERYDAY_PART), EVERYDAY_EXAMPLES)
