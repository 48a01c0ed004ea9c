"""Measure the acceptance of a batch: ``python -m tests.bench.batch [BACKEND] [BATCHES]``.

A server process without workers; each batch is one request over HTTP, of 100 jobs that are new.
"""

import http.client
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from tests.bench.series import Series
from tests.processes import Processes

SIZE = 100
WARM = 3  # batches that are not counted


def measure(url: str, batches: int) -> Series:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps(
        {
            "request": {"workflow": "flux-dev", "width": 512, "height": 512},
            "product": {"prompt": [f"picture {n}" for n in range(10)], "seed": list(range(10))},
        }
    )
    seconds = []
    for _ in range(WARM + batches):
        began = perf_counter()
        connection.request("POST", "/generate/batch", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answered = json.loads(answer.read())
        seconds.append(perf_counter() - began)
        assert answer.status == 202, answered
        assert answered["counts"]["queued"] == SIZE
    connection.close()
    return Series(seconds[WARM:])


def main(backend: str = "embedded", batches: str = "30") -> None:
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(Path(folder))
        try:
            up = processes.up(workers=0, backend=backend)
            series = measure(up.url, int(batches))
        finally:
            processes.close()
    print(f"{backend}: a batch of {SIZE} accepted in {series} ms (p50 / p95)")


if __name__ == "__main__":
    main(*sys.argv[1:])
