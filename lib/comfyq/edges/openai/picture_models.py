"""Models of OpenAI's API: the workflows whose results are pictures, as far as is known."""

from comfyq.domain.errors import WorkflowNotFound
from comfyq.domain.workflow.output_nodes import may_save_pictures
from comfyq.domain.workflow.workflow import Workflow
from comfyq.services.workflows.library import WorkflowLibrary


def is_model(workflow: Workflow) -> bool:
    return may_save_pictures(workflow.graph, workflow.outputs)


async def model_of(library: WorkflowLibrary, name: str) -> Workflow:
    """Return the workflow that a ``model`` names.

    Raises:
        WorkflowNotFound: there is none, or it makes no pictures.
    """
    workflow = (await library.show(name)).workflow
    if not is_model(workflow):
        raise WorkflowNotFound(f"workflow {name} makes no pictures; POST /generate runs it")
    return workflow
