"""How long the API function's code takes to be imported, beside two of the libraries in it.

python -m tests.bench.imports [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from comfyq.config import PROJECT

ROUNDS = 9
HANDLER = "functions.api.handler"
LIBRARIES = "fastapi, boto3"
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def import_s(modules: str) -> float:
    """Return the seconds that a new interpreter needs for an import.

    It may write the code that it compiled, which the functions' image has compiled as well.
    """
    program = (
        f"import time; b = time.perf_counter(); import {modules}; print(time.perf_counter() - b)"
    )
    command = [sys.executable, "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}  # noqa: TID251 - of the tests
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=PROJECT, env=environment
    )
    return float(done.stdout)


def measure(rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the medians of the handler and of the libraries, imported in turns."""
    handler: list[float] = []
    libraries: list[float] = []
    for number in range(rounds + 1):
        taken = import_s(HANDLER), import_s(LIBRARIES)
        if number:  # the first round compiled what had changed and filled the page cache
            handler.append(taken[0])
            libraries.append(taken[1])
    return statistics.median(handler), statistics.median(libraries)


def main(arguments: Sequence[str]) -> None:
    handler, libraries = measure(*map(int, arguments))
    print(
        f"{HANDLER} {handler * 1e3:.0f} ms / {LIBRARIES} {libraries * 1e3:.0f} ms:"
        f" {handler / libraries:.2f}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
