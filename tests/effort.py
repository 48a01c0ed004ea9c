"""The number of examples that properties are tried with.

An everyday run tries few; ``pytest --hypothesis-profile thorough`` (``make verify``) tries ten
times as many.
"""

from hypothesis import settings

EVERYDAY_EXAMPLES = 100

settings.register_profile("thorough", max_examples=10 * EVERYDAY_EXAMPLES)


def share(part: float) -> int:
    """That part of the examples of the profile in force."""
    profile = settings.default or settings()
    return int(part * profile.max_examples)
