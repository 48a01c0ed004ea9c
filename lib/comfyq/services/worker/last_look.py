"""The last look at a job's graph before it runs, on the worker that is to run it.

A job that was admitted before any ComfyUI was known, or that waits for another one, was judged
without the catalogue of the ComfyUI that is to run it, which alone says which inputs take files.
And the operator's rules may have changed since the job was admitted, or it has come past admission.
"""

from itertools import chain, islice

from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.job import Job
from comfyq.domain.submission.admission import RAW, places_of
from comfyq.domain.submission.node_rules import NodeRules
from comfyq.domain.submission.spec import Spec
from comfyq.ports.engine import GraphRefused, NodeError
from comfyq.services.worker.capabilities import Capabilities

NAMED = 5  # nodes that a message lists


class LastLook:
    def __init__(self, *, capabilities: Capabilities, rules: NodeRules) -> None:
        self._capabilities = capabilities
        self._rules = rules

    async def passed(self, job: Job, spec: Spec) -> Spec:
        """Return the spec with the names of models as this worker's ComfyUI spells them.

        Raises:
            Unsuited: ComfyUI lacks a class or a model.
            GraphRefused: a node may not run here, or a client's graph names a file or folder
                outside of ComfyUI's own, or one that is not known before it runs. What workflows
                name is their authors'.
        """
        suited = await self._capabilities.suited(job, spec)
        catalogue, graph = self._capabilities.catalogue, suited.graph
        if job.workflow == RAW:
            forbidden = self._rules.faults(graph, catalogue, own_files=places_of(spec.inputs))
            faults = chain(forbidden, outside_paths(graph, catalogue))
        else:
            faults = chain(self._rules.faults(graph, catalogue))
        errors = [
            NodeError(each.node, each.class_type, each.message, (each.details,))
            for each in islice(faults, NAMED)
        ]
        if errors:
            first = errors[0]
            said = f"{first.class_type} ({first.node}): {first.message}: {first.details[0]}"
            raise GraphRefused(said, errors)
        return suited
