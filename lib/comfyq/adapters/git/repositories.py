"""Git repositories, by the command `git` of this machine."""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from comfyq.domain.environment.errors import NodesRefused, NodesUnavailable

TIMEOUT_S = 600.0  # of one command
MAX_SHOWN_CHARS = 300  # of what git says
# git asks nobody for a password; filters of this machine's own settings would change the files.
QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
PLAIN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
# set where git calls a hook; whatever is called then would work on that repository
OF_A_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}
)
NO_COMMIT = ("not our ref", "couldn't find remote ref", "unadvertised object")
NO_REPOSITORY = ("could not read Username", "Authentication failed", "not found", " 403", " 404")


class GitRepositories:
    """Fetches the one commit, and hashes its files."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    async def sha256_of(self, repository: str, commit: str) -> str:
        with TemporaryDirectory(prefix="comfyq-nodes-") as name:
            folder = Path(name)
            await self._git(folder, "init", "--quiet")
            code, said = await self._git(
                folder, "fetch", "--quiet", "--depth", "1", "--", repository, commit
            )
            if code:
                raise _fault(repository, commit, said)
            return await self._archive_sha256(folder, commit)

    async def _archive_sha256(self, folder: Path, commit: str) -> str:
        archive = folder / "archive.tar"
        code, said = await self._git(
            folder, "archive", "--format=tar", f"--output={archive}", commit, more=PLAIN
        )
        if code:
            raise NodesRefused(f"git cannot read the commit {commit}: {said}")
        return await asyncio.to_thread(_sha256, archive)

    async def _git(
        self, folder: Path, *arguments: str, more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run git in a folder; return its exit code and the last line that it said."""
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                "-C",
                str(folder),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**_environment(), **QUIET, **(more or {})},
            )
        except FileNotFoundError:
            raise NodesRefused("the command `git` is not installed on this machine") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                _, errors = await process.communicate()
        except TimeoutError:
            raise NodesUnavailable(f"git has not ended within {self._timeout_s:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        lines = errors.decode(errors="replace").strip().splitlines() or [""]
        return process.returncode or 0, lines[-1][:MAX_SHOWN_CHARS]


def _fault(repository: str, commit: str, said: str) -> NodesRefused | NodesUnavailable:
    if any(text in said for text in NO_COMMIT):
        return NodesRefused(f"{repository} has no commit {commit}: {said}")
    if any(text in said for text in NO_REPOSITORY):
        return NodesRefused(
            f"{repository} does not exist, or wants credentials that git here does not have: {said}"
        )
    return NodesUnavailable(f"{repository} cannot be asked now: {said}")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _environment() -> Mapping[str, str]:
    """Return this process's environment, but for what names another repository, as in a hook."""
    own = os.environ  # noqa: TID251 - git's own settings, and proxies
    return {name: value for name, value in own.items() if name not in OF_A_REPOSITORY}
