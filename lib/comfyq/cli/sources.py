"""What a request says for a file: a path is stored first."""

import re
from pathlib import Path

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import CannotStart

NO_PATHS = ("http://", "https://", "data:", "asset:")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def source_of(client: ApiClient, given: str) -> str:
    """Return the source of a file for a request: URLs and assets unchanged, a path uploaded first.

    Raises:
        CannotStart: there is no such file, or it is a URL that is not fetched.
    """
    if not given:
        raise CannotStart("a path is empty, as of a variable that is not set")
    if given.lower().startswith(NO_PATHS):
        return given
    if URL.match(given):
        raise CannotStart(f"{given}: only http and https are fetched; download it, name the file")
    return str(stored(client, Path(given))["source"])


def stored(client: ApiClient, file: Path) -> Json:
    """Store a file; a large one by a signed link, which may lead past the API."""
    if not file.is_file():
        raise CannotStart(f"{file}: there is no such file")
    return client.store(file)
