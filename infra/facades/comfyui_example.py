"""One of ComfyUI's own examples against a server of ours, from the ComfyUI that tests prepare.

    comfyui_example.py EXAMPLE.py HOST:PORT

The address at its top, and model and size in its graph, are set to what there is before it runs.
The sizes of the pictures that it got are printed as JSON.
"""

import json
import re
import sys
from pathlib import Path

OWN_ADDRESS = re.compile(r'server_address = "[^"]*"')
STEPS = re.compile(r'"steps": \d+')
MODEL = re.compile(r'"ckpt_name": "[^"]*"')
SIDES = re.compile(r'"(height|width)": \d+')


def main(example: str, address: str) -> None:
    text = Path(example).read_text()
    text = OWN_ADDRESS.sub(f'server_address = "{address}"', text)
    text = MODEL.sub('"ckpt_name": "shared_sd15.ckpt"', text)
    text = SIDES.sub(r'"\1": 64', STEPS.sub('"steps": 2', text))
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(text, example, "exec"), names)  # noqa: S102 - it is to be run as it is
    images = names["images"]
    assert isinstance(images, dict)
    made = {node: [len(picture) for picture in pictures] for node, pictures in images.items()}
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
