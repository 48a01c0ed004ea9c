"""Headers of files that users made: a browser may show some of them, and runs none.

Pages, SVG, XML and whatever else may hold a script are attachments of no type that runs. See
https://cheatsheetseries.owasp.org/cheatsheets/File_Upload_Cheat_Sheet.html
"""

from urllib.parse import quote

OCTETS = "application/octet-stream"
RASTER = frozenset(
    f"image/{kind}"
    for kind in ("png", "apng", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "jxl", "heic", "heif")
)
PLAYED = ("video/", "audio/")
PLAYLISTS = ("url", "xml", "asx", "pls", "scpls")  # name other files
DATA = frozenset({"text/plain", "text/csv", "application/json", "application/zip", OCTETS})
DATA_FAMILIES = ("model/", "font/")


def is_shown(content_type: str) -> bool:
    """Return whether a browser may show a file of this type itself: pictures, video, audio."""
    kind = _bare(content_type)
    return kind in RASTER or (kind.startswith(PLAYED) and not kind.endswith(PLAYLISTS))


def served_type(content_type: str) -> str:
    """Return the type under which a file is served; of types that may run, one that does not."""
    kind = _bare(content_type)
    harmless = kind in DATA or (kind.startswith(DATA_FAMILIES) and not kind.endswith("xml"))
    return content_type if is_shown(content_type) or harmless else OCTETS


def disposition(content_type: str, filename: str = "") -> str:
    """Return the Content-Disposition of a file."""
    way = "inline" if is_shown(content_type) else "attachment"
    return f"{way}; filename*=UTF-8''{quote(filename, safe='')}" if filename else way


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
