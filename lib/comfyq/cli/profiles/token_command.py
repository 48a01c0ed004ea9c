"""Tokens that a command of the user's prints, as ``gcloud auth print-identity-token`` does."""

import shlex
import subprocess
import time

from comfyq.cli.errors import CannotStart
from comfyq.cli.profiles.profile_file import checked_credential

FRESH_S = 60.0  # a token is used for so long: those that print it renew it before it expires
TIMEOUT_S = 60.0  # it may have to ask its user, or a server


class TokenCommand:
    """Runs the command when a token is needed, and again when that one may soon expire."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._known: tuple[str, float] | None = None

    def __call__(self) -> str:
        """Return a token; raises CannotStart."""
        if self._known is None or time.monotonic() - self._known[1] > FRESH_S:
            self._known = self._printed(), time.monotonic()
        return self._known[0]

    def _printed(self) -> str:
        """Run the command without a shell; what it says on standard error is shown."""
        told = f"the profile's token command ({self._command})"
        try:
            done = subprocess.run(
                shlex.split(self._command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, ValueError, IndexError) as wrong:
            raise CannotStart(f"{told} cannot be run: {wrong}") from wrong
        except subprocess.TimeoutExpired:
            raise CannotStart(f"{told} has not ended within {TIMEOUT_S:.0f} s") from None
        if done.returncode:
            raise CannotStart(f"{told} ended with {done.returncode}")
        return checked_credential(done.stdout.strip(), f"the token that {told} has to print")
