"""Runs comfyq on LocalStack's free edition, without Docker: `make localstack`.

    infra/namespace.sh python -m infra.localstack [PYTEST ARGUMENT…]

Starts LocalStack from its package (see infra/compat) and runs tests/e2e/test_localstack.py beside
it. LocalStack listens on every interface, so both are in a network of their own.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from infra.compat.catalogue import LOOK_ALIKES
from infra.compat.lookalike import NotHere
from infra.compat.packages import ROOT
from infra.compat.server import Server

TESTS = "tests/e2e/test_localstack.py"
NOT_RUN = 2


def main(arguments: Sequence[str]) -> int:
    """pytest's exit code."""
    kind = next(kind for kind in LOOK_ALIKES if kind.name == "LocalStack")
    try:
        kind.install()
        with Server(kind) as server:
            host = server.url.removeprefix("http://")
            print(f"{kind.package} is at {host}", flush=True)
            return subprocess.run(
                [sys.executable, "-m", "pytest", TESTS, *arguments],
                cwd=ROOT,
                env={
                    "PATH": os.getenv("PATH", os.defpath),
                    "HOME": str(ROOT),
                    "COMFYQ_TEST_LOCALSTACK": host,
                },
                check=False,
            ).returncode
    except NotHere as reason:
        print(f"LocalStack cannot be run here: {reason}", file=sys.stderr)
        return NOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
