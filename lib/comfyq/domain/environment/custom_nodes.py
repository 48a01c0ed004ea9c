"""Custom nodes that a workflow needs: a git repository at a commit.

An image is built with them. Nothing is installed while a worker runs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from comfyq.domain.environment.errors import NodesRefused
from comfyq.domain.loopback import is_loopback

MAX_CHARS = 500
COMMIT = re.compile(r"[0-9a-f]{40}")
CLASS = re.compile(r"\S(.{0,198}\S)?")
# Nothing of it means anything to a shell or in a Dockerfile.
REPOSITORY = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomNodes:
    """A repository of custom nodes at a commit."""

    repository: str  # a URL that git fetches from
    commit: str  # 40 digits, small
    classes: tuple[str, ...] = ()  # of nodes that it brings, as far as the manifest says

    @property
    def folder(self) -> str:
        """Return its folder below ComfyUI's ``custom_nodes``."""
        return folder_of(self.repository)

    def __str__(self) -> str:
        return f"{self.repository} at {self.commit}"


def folder_of(repository: str) -> str:
    return repository.rsplit("/", 1)[-1].removesuffix(".git")


def read_repository(value: object) -> str:
    """Check a repository's URL; raises ValueError, which says what would be right."""
    if not isinstance(value, str):
        raise ValueError('must be a string, such as "https://github.com/owner/repository"')
    if len(value) > MAX_CHARS or not REPOSITORY.fullmatch(value) or not folder_of(value):
        raise ValueError(
            'must be "https://HOST/PATH" of a git repository, such as '
            '"https://github.com/owner/repository", without credentials, a query, a `/` at its '
            "end or characters that need escapes"
        )
    if value.startswith("http:") and not is_loopback(urlsplit(value).hostname or ""):
        raise ValueError("must begin with https://, except on this machine")
    return value


def read_commit(value: object) -> str:
    """Check a commit's id; raises ValueError."""
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise ValueError(
            "must be a whole commit of 40 small hexadecimal digits, as `git rev-parse HEAD` prints "
            "it; a branch or a tag may move"
        )
    return value


def read_classes(value: object) -> tuple[str, ...]:
    """Check names of node classes; raises ValueError."""
    names = value if isinstance(value, list) else []
    if not names or not all(isinstance(name, str) and CLASS.fullmatch(name) for name in names):
        raise ValueError('must be a list of names of node classes, such as ["FaceDetailer"]')
    if len(set(names)) < len(names):
        raise ValueError("names a class twice")
    return tuple(names)


def check_together(nodes: Iterable[tuple[str, CustomNodes]]) -> None:
    """Check that one image may have all of these, each with the name of its workflow.

    Raises:
        NodesRefused: two want one folder for different commits or repositories.
    """
    known: dict[str, tuple[str, CustomNodes]] = {}
    for workflow, each in nodes:
        name, other = known.setdefault(each.folder.lower(), (workflow, each))
        if (other.repository, other.commit) != (each.repository, each.commit):
            raise NodesRefused(
                f"one image cannot have both {other} (workflow {name}) and {each} (workflow "
                f"{workflow}): they have one folder, custom_nodes/{each.folder}; name one commit "
                "in both manifests, or make an image for each"
            )


def sources_of(class_type: str, nodes: Sequence[CustomNodes]) -> Sequence[CustomNodes]:
    """Return what brings a class: who names it or, if nobody does, all who name no classes."""
    naming = [each for each in nodes if class_type in each.classes]
    return naming or [each for each in nodes if not each.classes]


def is_named(class_type: str, nodes: Sequence[CustomNodes]) -> bool:
    """Return whether one of them is said to bring a class."""
    return any(class_type in each.classes for each in nodes)
