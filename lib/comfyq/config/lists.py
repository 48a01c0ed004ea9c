"""Lists that a setting has in one text."""


def listed(text: str, separator: str = ",") -> tuple[str, ...]:
    """Return the parts of a setting that is a list in one text."""
    return tuple(part.strip() for part in text.split(separator) if part.strip())
