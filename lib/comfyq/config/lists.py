"""Lists that a setting has in one text."""

from comfyq.domain.files.fetch_exceptions import allowed_entries


def listed(text: str, separator: str = ",") -> tuple[str, ...]:
    """Return the parts of a setting that is a list in one text."""
    return tuple(part.strip() for part in text.split(separator) if part.strip())


def checked_exceptions(text: str) -> str:
    """Return a list of hosts and networks as it is; raises ValueError for what is none."""
    allowed_entries(text)
    return text
