"""The number of examples that properties are tried with.

An everyday run tries few; ``pytest --hypothesis-profile thorough`` (``make verify``) tries twenty
times as many. No example has a deadline: the cores may be shared.
"""

from hypothesis import settings

EVERYDAY_EXAMPLES = 50

settings.register_profile(
    "everyday", settings.default, max_examples=EVERYDAY_EXAMPLES, deadline=None
)
settings.register_profile(
    "thorough", settings.default, max_examples=20 * EVERYDAY_EXAMPLES, deadline=None
)
settings.load_profile("everyday")


def share(part: float) -> int:
    """That part of the examples of the profile in force."""
    profile = settings.default or settings()
    return int(part * profile.max_examples)
