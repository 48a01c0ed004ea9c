"""The last look at the files and folders that a client's own graph names.

A job that was admitted before any ComfyUI was known, or that waits for another one, was judged
without the catalogue of the ComfyUI that is to run it, which alone says which inputs take files.
"""

from itertools import islice

from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.job import Job
from comfyq.domain.submission.admission import RAW
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import GraphRefused, NodeError

NAMED = 5  # inputs that a message lists


def require_paths_inside(job: Job, spec: Spec, catalogue: NodeCatalogue | None) -> None:
    """Raise GraphRefused if a client's graph names a file or folder outside of ComfyUI's own, or
    one that is not known before it runs. The graphs of workflows are their authors'."""
    if job.workflow != RAW:
        return
    errors = [
        NodeError(each.node, each.class_type, each.message, (each.details,))
        for each in islice(outside_paths(spec.graph, catalogue), NAMED)
    ]
    if errors:
        first = errors[0]
        said = f"{first.class_type} ({first.node}): {first.message}: {first.details[0]}"
        raise GraphRefused(said, errors)
