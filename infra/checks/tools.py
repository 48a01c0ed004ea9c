"""The tools of ``infra/requirements.lock``, each run once over any number of templates.

They are in an environment of their own (``.infra``), since their pins are not ours.
"""

import json
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REGION = "us-east-1"
TIMEOUT_S = 1_200

Findings = Mapping[str, Sequence[str]]  # by the template's name, without its suffix


@dataclass(frozen=True)
class Tools:
    environment: Path = ROOT / ".infra"

    @property
    def installed(self) -> bool:
        return self._program("cfn-lint").exists()

    def expand(self, templates: Sequence[Path], folder: Path) -> Findings:
        """Write NAME.json to ``folder`` for each template; what SAM refuses is found."""
        script = HERE / "transform.py"
        self._run("python", script, folder, *templates)
        refused = {path.stem: [path.read_text().strip()] for path in folder.glob("*.refused")}
        for template in templates:
            if template.stem not in refused and not (folder / f"{template.stem}.json").exists():
                raise RuntimeError(f"{template} was neither expanded nor refused")
        return refused

    def lint(self, expanded: Sequence[Path]) -> Findings:
        """cfn-lint's errors and warnings."""
        told = self._run("cfn-lint", "--format", "json", "--regions", REGION, "-t", *expanded)
        found = defaultdict[str, list[str]](list)
        for match in json.loads(told):
            line = f"{match['Rule']['Id']} {match['Message']}"
            found[Path(match["Filename"]).stem].append(line)
        return found

    def scan(self, expanded: Sequence[Path]) -> Findings:
        """checkov's failed checks, but for those that are allowed."""
        files = [part for path in expanded for part in ("-f", path)]
        fixed = ("--framework", "cloudformation", "--output", "json", "--quiet", "--compact")
        told = json.loads(self._run("checkov", *fixed, "--skip-download", *files))
        found = defaultdict[str, list[str]](list)
        for report in told if isinstance(told, list) else [told]:
            for failed in report["results"]["failed_checks"]:
                if failed["check_id"] not in allowed():
                    line = f"{failed['check_id']} {failed['resource']}: {failed['check_name']}"
                    found[Path(failed["file_path"]).stem].append(line)
        return found

    def scanned(self, expanded: Path) -> set[str]:
        """All checks of checkov's that fail, allowed or not."""
        fixed = ("--framework", "cloudformation", "--output", "json", "--quiet", "--compact")
        report: Any = json.loads(self._run("checkov", *fixed, "--skip-download", "-f", expanded))
        return {failed["check_id"] for failed in report["results"]["failed_checks"]}

    def _program(self, name: str) -> Path:
        return self.environment / "bin" / name

    def _run(self, program: str, *arguments: object) -> str:
        """Standard output; these tools tell by their exit code that they found something."""
        ran = subprocess.run(
            [self._program(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if "Traceback" in ran.stderr:
            raise RuntimeError(f"{program}: {ran.stderr[-2000:]}")
        return ran.stdout


def allowed() -> Mapping[str, str]:
    """By checkov's check, why it may fail."""
    entries = tomllib.loads((HERE / "allowed.toml").read_text(encoding="utf-8"))["allowed"]
    return {entry["check"]: entry["why"] for entry in entries}
