"""A description of what a ComfyUI is installed with, and its digest.

Workers with the same digest run a job alike, as far as custom nodes and packages go.
"""

import hashlib

from comfyq.domain.files.sources import shown_source

DIGEST_CHARS = 16  # as many tell environments apart


def environment_digest(comfyui_version: str, description: str) -> str:
    """Return a digest of ComfyUI's version and of what it is installed with."""
    text = f"comfyui {comfyui_version}\n{description}"
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def node_line(repository: str, commit: str) -> str:
    """Describe a repository of custom nodes at a commit, without credentials of its URL."""
    return f"node {shown_source(repository)} {commit}"


def files_line(folder: str, sha256: str) -> str:
    """Describe custom nodes that are in no repository by the hash of their code."""
    return f"files {folder} {sha256}"
