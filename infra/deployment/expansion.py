"""SAM's template as the CloudFormation that AWS makes of it.

SAM's translator is a tool of development, in an environment of its own: nothing that is served
needs it.
"""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from infra.deployment.omission import Content
from infra.deployment.stack import CannotDeploy

TIMEOUT_S = 120
SCRIPT = Path("infra") / "checks" / "transform.py"


class NotInstalled(CannotDeploy):
    """There is no SAM translator here."""


def expanded(template: Path, *, tools: Path) -> Content:
    """``tools`` is the environment that `make infra-tools` makes; it keeps what was expanded.

    Takes some seconds for a template that is new.

    Raises:
        NotInstalled: it is not there.
        CannotDeploy: SAM refuses the template.
    """
    python, script = tools / "bin" / "python", tools.parent / SCRIPT
    if not python.exists() or not script.exists():
        raise NotInstalled(
            f"{template.name} is SAM's, and its translator is not installed: run make infra-tools, "
            "or make table, queues and bucket alone with --state-only"
        )
    digest = hashlib.sha256(template.read_bytes() + script.read_bytes()).hexdigest()
    kept = tools / "expanded" / f"{digest[:32]}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _expand(template, python, script, Path(folder)).replace(kept)
    content: Content = json.loads(kept.read_text(encoding="utf-8"))
    return content


def _expand(template: Path, python: Path, script: Path, folder: Path) -> Path:
    ran = subprocess.run(
        [python, script, folder, template.absolute()],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    written = folder / f"{template.stem}.json"
    if not written.exists():
        raise CannotDeploy(f"SAM refuses {template}: {ran.stderr.strip()[-2000:]}")
    return written
