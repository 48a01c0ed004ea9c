"""``nodes.lock``: which files each commit of a workflow's custom nodes stands for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comfyq.domain.environment.custom_nodes import folder_of, read_commit, read_repository
from comfyq.domain.environment.errors import BadNodesLock
from comfyq.domain.lock_format import LockFormat, sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedNodes:
    """A repository of custom nodes at a commit that was seen there."""

    repository: str
    commit: str
    sha256: str  # of the commit's files, as `git archive --format=tar` writes them

    @property
    def folder(self) -> str:
        return folder_of(self.repository)


FORMAT = LockFormat(
    tables="nodes",
    command="comfyq images lock",
    error=BadNodesLock,
    readers={"repository": read_repository, "commit": read_commit, "sha256": sha256_of},
)


def written_lock(nodes: Iterable[LockedNodes]) -> str:
    """Write a lock; the order of ``nodes`` makes no difference."""
    ordered = sorted(nodes, key=lambda each: (each.folder, each.repository))
    return FORMAT.written(
        {"repository": each.repository, "commit": each.commit, "sha256": each.sha256}
        for each in ordered
    )


def read_lock(text: str) -> Sequence[LockedNodes]:
    """Read a lock; raises BadNodesLock, whose message names the entry."""
    return [LockedNodes(**values) for values in FORMAT.read(text)]
