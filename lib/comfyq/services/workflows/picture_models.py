"""Models of APIs that make pictures: the workflows whose results they are, as far as is told."""

from comfyq.domain.errors import WorkflowNotFound
from comfyq.domain.workflow.output_nodes import may_save_pictures
from comfyq.domain.workflow.workflow import Workflow
from comfyq.services.workflows.library import WorkflowLibrary


def is_model(workflow: Workflow) -> bool:
    return may_save_pictures(workflow.graph, workflow.outputs)


async def model_of(library: WorkflowLibrary, name: str) -> Workflow:
    """Return the workflow that is a model, with the choices of a worker.

    Raises:
        WorkflowNotFound: there is none, or it makes no pictures.
    """
    workflow = (await library.show(name)).workflow
    if not is_model(workflow):
        raise WorkflowNotFound(f"workflow {name} makes no pictures; POST /generate runs it")
    return workflow
