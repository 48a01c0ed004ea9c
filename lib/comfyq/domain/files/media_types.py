"""Media types, recognised by a file's first bytes."""

from collections.abc import Mapping

HEAD_BYTES = 16

VIDEO = "video"
AUDIO = "audio"
MODEL_3D = "model_3d"
PICTURES = ("image", "mask")  # kinds of parameters that take a picture


# https://www.garykessler.net/library/file_sigs.html
BEGINNINGS: Mapping[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/bmp": (b"BM",),
    "image/tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}


UNTOLD = ("", "application/octet-stream", "application/x-www-form-urlencoded")  # curl's own last
UNKNOWN = "application/octet-stream"
OF_SUFFIX: Mapping[str, str] = {
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}


def told_or_seen(content_type: str, head: bytes) -> str:
    """Return the type that a client named or, if it named none, the one that ``head`` shows."""
    named = content_type.partition(";")[0].strip()
    return seen(head) if named.lower() in UNTOLD else named


def seen(head: bytes) -> str:
    """Return the type of a file that begins with ``head``, as far as that shows."""
    if _riff(head) == b"WEBP":
        return "image/webp"
    for content_type, beginnings in BEGINNINGS.items():
        if head.startswith(beginnings):
            return content_type
    return OF_SUFFIX.get(_video(head) or _audio(head) or "", UNKNOWN)


def may_be(content_type: str, head: bytes) -> bool:
    """Return whether a file that begins with ``head`` may be of this type."""
    content_type = content_type.partition(";")[0].strip().lower()
    main = content_type.partition("/")[0]
    if main in (VIDEO, AUDIO):
        return suffix_of(main, head) is not None
    if content_type == "image/webp":
        return _riff(head) == b"WEBP"
    known = BEGINNINGS.get(content_type)
    return known is None or head.startswith(known)


def picture_suffix(head: bytes) -> str:
    """Return the usual suffix of a picture that begins so: PNG, GIF, WebP or TIFF."""
    if _riff(head) == b"WEBP":
        return ".webp"
    if head.startswith(BEGINNINGS["image/tiff"]):
        return ".tif"
    return ".gif" if head.startswith(BEGINNINGS["image/gif"]) else ".png"


def suffix_of(kind: str, head: bytes) -> str | None:
    """The usual suffix of a file of ``kind`` (video, audio, model_3d) that begins so; None: it is
    none.

    See https://www.garykessler.net/library/file_sigs.html
    """
    if kind == MODEL_3D:
        return _model_3d(head)
    return _video(head) if kind == VIDEO else _audio(head)


def _video(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return ".mov" if head[8:12] == b"qt  " else ".mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):  # Matroska's EBML, of which WebM is a kind
        return ".webm"
    return ".avi" if _riff(head) == b"AVI " else None


def _audio(head: bytes) -> str | None:
    known = {b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"}
    for magic, suffix in known.items():
        if head.startswith(magic):
            return suffix
    if _riff(head) == b"WAVE":
        return ".wav"
    if head[4:8] == b"ftyp":
        return ".m4a"
    is_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return ".mp3" if is_mpeg else None


def _model_3d(head: bytes) -> str | None:
    """A binary STL begins with a text of its own and is not recognised."""
    known = {b"glTF": ".glb", b"Kaydara FBX": ".fbx", b"ply": ".ply", b"PK\x03\x04": ".usdz"}
    known |= {b"solid": ".stl", b"{": ".gltf"}
    known |= dict.fromkeys((b"# ", b"v ", b"o ", b"g ", b"mtllib "), ".obj")
    return next((suffix for magic, suffix in known.items() if head.startswith(magic)), None)


def _riff(head: bytes) -> bytes:
    return head[8:12] if head.startswith(b"RIFF") else b""
