"""The part of the table of commands that is for authors of workflows."""

from comfyq.cli.lazy import CommandEntry

AUTHORING_ENTRIES = (
    CommandEntry(
        "workflows check",
        "workflows:check",
        "Check workflows: manifest, graph, sample; with a catalogue also whether they would run.",
    ),
    CommandEntry(
        "workflows import",
        "workflows:import_",
        "Make a workflow of a graph; its manifest is a proposal for you to edit.",
    ),
    CommandEntry(
        "models lock",
        "models.locking:lock",
        "Ask where a workflow's models come from, and write commit, hash and size to its "
        "models.lock.",
    ),
    CommandEntry(
        "models list",
        "models.listing:listing",
        "List the models of workflows, and whether ComfyUI finds them here. Nothing is read whole.",
    ),
    CommandEntry(
        "models pull",
        "models.pulling:pull",
        "Fetch the locked models that are not here. What was cut off goes on where it was cut.",
    ),
    CommandEntry(
        "models verify",
        "models.listing:verify",
        "Read locked models whole, and compare their hashes. Exit code 1 if one is not as locked.",
    ),
    CommandEntry(
        "models prune",
        "models.pruning:prune",
        "Delete fetched files that no lock of the workflows names, and the links to them.",
    ),
    CommandEntry(
        "images lock",
        "images.locking:lock",
        "Look whether the commits of workflows' custom nodes exist, and write their hashes to a "
        "lock.",
    ),
    CommandEntry(
        "images dockerfile",
        "images.recipe:dockerfile",
        "Print the Dockerfile of a worker's image that has the custom nodes of workflows.",
    ),
    CommandEntry(
        "images export",
        "images.comfy_lock:export",
        "Print locked models and custom nodes of workflows as comfy-cli's comfy-lock.yaml.",
    ),
    CommandEntry(
        "images import",
        "images.comfy_lock:import_",
        "Print the models and custom nodes of a comfy-lock.yaml as tables for a manifest.",
    ),
)
