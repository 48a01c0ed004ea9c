"""Sources of model files, as a manifest says them: ``hf:``, ``civitai:``, ``s3:`` or a URL.

A source says where a file is wanted from; which bytes these are is for the lock to say.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from comfyq.domain.files.sources import shown_source

ALLOWED = (
    '"hf:owner/repo/path@revision", "civitai:VERSION", "s3://bucket/key" or "https://…", such as '
    '"hf:black-forest-labs/FLUX.1-dev/ae.safetensors@main"'
)
MAX_CHARS = 2_000
STORE = "by-sha256"  # the folder below ``models`` that has the files themselves
OWNER = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)  # of a repository, or its name
REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)  # branch, tag, commit, refs/pr/1
VERSION = re.compile(r"[1-9][0-9]{0,17}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
URL = re.compile(r"https?://", re.IGNORECASE)
# Names of query parameters that carry credentials; those of signed links end by themselves.
SECRETS = re.compile(
    r"(?i)(api|access|auth)?[_-]?(token|key|secret|password|signature|sig)|x-(amz|goog)-.*"
)


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """A file of a repository at Hugging Face, at a branch, tag or commit."""

    repository: str  # owner/name
    path: str
    revision: str

    def __str__(self) -> str:
        return f"hf:{self.repository}/{self.path}@{self.revision}"

    @property
    def file(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class CivitaiSource:
    """A version of a model at Civitai."""

    version: str  # its id, digits

    def __str__(self) -> str:
        return f"civitai:{self.version}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class S3Source:
    """A file in a bucket of S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


ModelSource = HuggingFaceSource | CivitaiSource | S3Source | UrlSource


def read_source(text: object) -> ModelSource:
    """Parse a manifest's or lock's ``source``.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be a string: {ALLOWED}")
    if len(text) > MAX_CHARS or not text.isprintable() or text != text.strip():
        raise ValueError(
            f"has more than {MAX_CHARS} characters, some that cannot be shown, or spaces around it"
        )
    kind, colon, rest = text.partition(":")
    if colon and kind == "hf":
        return _hugging_face(rest)
    if colon and kind == "civitai":
        return _civitai(rest)
    if colon and kind == "s3":
        return _s3(rest)
    if URL.match(text):
        return _url(text)
    raise ValueError(f"is no source that is known: {ALLOWED}")


def shown(source: ModelSource) -> str:
    """Return a source as messages may have it: a query may be a secret."""
    return shown_source(str(source))


def model_path(text: object) -> str:
    """Check the name of a folder below ``models``, or of a file below such a folder.

    Raises:
        ValueError: it could lead out of the folder, or cannot be shown.
    """
    if not isinstance(text, str):
        raise ValueError("must be a string")
    parts = text.split("/")
    if any(part in ("", ".", "..") or part != part.strip() for part in parts):
        raise ValueError("must be a path below ComfyUI's folder of models, without `.` and `..`")
    if not text.isprintable() or "\\" in text or ":" in text:
        raise ValueError("has a backslash, a colon, or a character that cannot be shown")
    if parts[0] == STORE:
        raise ValueError(f"begins with {STORE}, where comfyq keeps the files themselves")
    return text


def _hugging_face(text: str) -> HuggingFaceSource:
    place, _, revision = text.rpartition("@")
    owner, _, rest = place.partition("/")
    name, _, path = rest.partition("/")
    if not place:
        raise ValueError("lacks its revision: add `@main`, another branch, a tag or a commit")
    if not (OWNER.fullmatch(owner) and OWNER.fullmatch(name) and path):
        raise ValueError('must be "hf:owner/repo/path@revision", the path with its file')
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(f"has no revision: {revision!r} is no branch, tag or commit")
    return HuggingFaceSource(f"{owner}/{name}", model_path(path), revision)


def _civitai(text: str) -> CivitaiSource:
    if not VERSION.fullmatch(text):
        raise ValueError(
            'must be "civitai:VERSION", the number after `modelVersionId=` in the page\'s address'
        )
    return CivitaiSource(text)


def _s3(text: str) -> S3Source:
    bucket, _, key = text.removeprefix("//").partition("/")
    if not text.startswith("//") or not BUCKET.fullmatch(bucket) or not key or key[-1] == "/":
        raise ValueError('must be "s3://bucket/key", the key of a file')
    return S3Source(bucket, key)


def _url(text: str) -> UrlSource:
    try:
        parts = urlsplit(text)
        _ = parts.port
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        raise ValueError("is no valid URL") from None
    if not parts.hostname:
        raise ValueError("is a URL without a host")
    if "@" in parts.netloc or any(map(SECRETS.fullmatch, names)):
        raise ValueError(
            "has credentials in its URL, which would be stored and shown: leave them out, and set "
            "COMFYQ_MODEL_TOKENS"
        )
    return UrlSource(text)
