"""Dockerfiles and compose files as their tests read them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted(path for path in ROOT.rglob("Dockerfile") if ".venv" not in path.parts)


@dataclass(frozen=True)
class Step:
    """One instruction, its lines joined."""

    name: str
    argument: str

    @property
    def words(self) -> list[str]:
        """Without options."""
        return [word for word in shlex.split(self.argument) if not word.startswith("--")]


def steps(dockerfile: Path) -> list[Step]:
    lines = [
        line
        for line in dockerfile.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in whole.splitlines()]


def copied(dockerfile: Path) -> Iterator[str]:
    """The project's files that go into an image."""
    for step in steps(dockerfile):
        if step.name == "COPY" and "--from=" not in step.argument:
            yield from step.words[:-1]


def environment(dockerfile: Path) -> dict[str, str]:
    variables: dict[str, str] = {}
    for step in steps(dockerfile):
        if step.name == "ENV":
            variables |= dict(pair.split("=", 1) for pair in shlex.split(step.argument))
    return variables


def arguments_of(dockerfile: Path, script: str) -> list[str]:
    """Return the arguments that a RUN step gives to a script in infra/docker."""
    for step in steps(dockerfile):
        for command in re.split(r"&&|;", step.argument) if step.name == "RUN" else ():
            words = shlex.split(command)
            if script in words:
                return words[words.index(script) + 1 :]
    raise LookupError(f"{dockerfile} does not run {script}")


def locked(lock: Path) -> Iterator[str]:
    """Names of a lock's packages that this system needs."""
    for line in lock.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==[^;]+?(?:;(.*?))?\\?$", line)
        if match and (not match[2] or Marker(match[2]).evaluate()):
            yield match[1]
