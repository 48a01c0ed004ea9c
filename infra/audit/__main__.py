"""Ask for known vulnerabilities of everything that the locks name.

    python -m infra.audit [PIP_AUDIT]

Exit code 0: all of it was asked about, and nothing is known. 1: something is known. 3: something
could not be asked about, and nothing is known of the rest.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PIP_AUDIT = ".audit/bin/pip-audit"
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
FOUND, NOT_ASKED = 1, 3
MAX_NAMED = 5


@dataclass(frozen=True)
class Audit:
    """What is known of some packages; ``unasked`` are those that nothing was learned of."""

    known: Sequence[str]
    asked: int
    unasked: Sequence[str]

    @property
    def code(self) -> int:
        return FOUND if self.known else NOT_ASKED if self.unasked else 0

    def __str__(self) -> str:
        lines = [f"VULNERABLE: {each}" for each in self.known]
        if self.unasked:
            some = ", ".join(self.unasked[:MAX_NAMED])
            more = f" and {len(self.unasked) - MAX_NAMED} more" if self.unasked[MAX_NAMED:] else ""
            lines.append(
                f"NOT ASKED: {len(self.unasked)} packages could not be asked about: {some}{more}"
            )
        lines.append(f"{self.asked} packages were asked about, {len(self.known)} faults are known")
        return "\n".join(lines)


def locks() -> Sequence[Path]:
    """Return the locks of the project, and none of what is installed in it."""
    folders = (ROOT, ROOT / "functions")
    return [
        *(file for folder in folders for file in sorted(folder.glob("*.lock"))),
        *sorted((ROOT / "infra").rglob("*.lock")),
    ]


def pins(locks: Iterable[Path]) -> Sequence[str]:
    """Return ``name==version`` of every package that some lock names."""
    found = (PIN.findall(lock.read_text()) for lock in locks)
    return sorted({f"{name}=={version}" for pairs in found for name, version in pairs})


def judge(wanted: Sequence[str], answer: Mapping[str, Any]) -> Audit:
    """Judge pip-audit's answer; what it leaves out or skips was not asked about."""
    told = [each for each in answer.get("dependencies", ()) if "version" in each]
    asked = {f"{each['name']}=={each['version']}" for each in told}
    known = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in "
        f"{', '.join(fault.get('fix_versions', ())) or 'no version'}"
        for each in told
        for fault in each.get("vulns", ())
    ]
    return Audit(
        known, len(asked), [each for each in wanted if _plain(each) not in set(map(_plain, asked))]
    )


def _plain(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() + pin[pin.index("==") :]


def asked_of(program: str, wanted: Sequence[str]) -> Audit:
    """Ask pip-audit; an answer that is none leaves everything unasked."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(wanted))
        file.flush()
        command = [program, "--requirement", file.name, "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:]
        print("pip-audit gave no answer:", *last, file=sys.stderr)
        answer = {}
    return judge(wanted, answer)


def main(program: str = PIP_AUDIT) -> int:
    audit = asked_of(program, pins(locks()))
    print(audit)
    return audit.code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
