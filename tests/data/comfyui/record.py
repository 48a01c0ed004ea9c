"""Records how a ComfyUI behaves in the cases that the simulator must get right.

    python -m tests.data.comfyui.record http://127.0.0.1:8188 tests/data/comfyui/0.3.75

Writes one JSON lines file a case, in the form in which the protocol tests compare.
"""

import asyncio
import json
import sys
from pathlib import Path

from tests.data.comfyui.cases import CASES, play
from tests.data.comfyui.normal import normal_tape


def main(url: str, folder: str) -> None:
    for name in CASES:
        tape = asyncio.run(play(url, name))
        lines = [json.dumps(line) for line in normal_tape(tape.answers, tape.events)]
        Path(folder, f"{name}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
