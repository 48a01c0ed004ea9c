"""Files of this process that only its owner reads: jobs, results, secrets."""

import os
from pathlib import Path

PRIVATE = 0o077  # the permissions that new files and folders lack
USUAL = os.umask(PRIVATE)  # of the programs that this process starts
os.umask(USUAL)


def keep_private(folder: Path) -> None:
    """Close ``folder`` to others, and every file that this process makes from now on."""
    os.umask(PRIVATE)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # what an earlier version made in it is closed as well
