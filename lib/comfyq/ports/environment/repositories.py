"""The port to git repositories of custom nodes."""

from typing import Protocol


class Repositories(Protocol):
    async def sha256_of(self, repository: str, commit: str) -> str:
        """Return the SHA-256 of a commit's files, as `git archive --format=tar` writes them.

        Raises:
            NodesRefused: the repository does not exist, wants credentials, or has no such commit.
            NodesUnavailable: its server does not answer.
        """
        ...
