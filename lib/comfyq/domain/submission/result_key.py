"""The key of a job's results: two jobs with the same key would make the same.

The key covers the graph as it runs (with its seed and the names of its models), the content of its
input files, its metadata flag and the hashes of models that its workflow's lock has. Other models
are identified by name, because ComfyUI reports no more: a file that was replaced under the same
name is not noticed.
"""

import json
from hashlib import sha256

from comfyq.domain.files.inputs import PLACEHOLDER
from comfyq.domain.files.output import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from comfyq.domain.graph.graph import Graph
from comfyq.domain.submission.spec import Spec

MEDIA = tuple(IMAGE_SUFFIXES | VIDEO_SUFFIXES | AUDIO_SUFFIXES)


def obstacle(spec: Spec) -> str | None:
    """Return why no key can be computed for a job; None if one can."""
    for file in spec.inputs:
        if file.blake3 is None:
            return f"{file.parameter or file.node} is a URL, and what it leads to may change"
    local = _local_file(spec.graph)
    return f"{local} is a file of ComfyUI's own, which may change" if local else None


def reuse_key(spec: Spec) -> str:
    """Compute the key of a spec without an obstacle; titles and the like, which change no result,
    are left out."""
    nodes = {id: [body["class_type"], body["inputs"]] for id, body in spec.graph.items()}
    files = [
        [file.node, file.input, file.kind, file.blake3, file.fit, file.width, file.height]
        for file in spec.inputs
    ]
    made_of: list[object] = [nodes, files, spec.metadata]
    if spec.pnginfo:  # it is saved in the files
        made_of.append(spec.pnginfo)
    if spec.models:
        made_of.append(sorted([each.path, each.sha256] for each in spec.models))
    canonical = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def _local_file(graph: Graph) -> str | None:
    """Return a file on the worker's machine that the graph reads; None if there is none."""
    for body in graph.values():
        for value in body["inputs"].values():
            is_name = isinstance(value, str) and not value.startswith(PLACEHOLDER)
            if is_name and "\n" not in value and _name_of(value).endswith(MEDIA):
                return str(value)
    return None


def _name_of(value: str) -> str:
    """ComfyUI writes the folder behind the name: ``a.png [output]``."""
    return value.lower().partition(" [")[0].strip()
