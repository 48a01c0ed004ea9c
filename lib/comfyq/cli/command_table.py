"""The table of the commands: name, module and function, first paragraph of the help."""

from collections.abc import Iterator

from typer.core import TyperCommand, TyperGroup

from comfyq.cli.lazy import CommandEntry, LazyCommand, group_of
from comfyq.cli.tables.authoring import AUTHORING_ENTRIES

SERVING = "Serve"
ASKING = "Ask a server"
AUTHORING = "Write workflows"

ENTRIES = (
    CommandEntry(
        "submit",
        "submitting:command",
        "Submit a generation: `comfyq submit WORKFLOW [PROMPT] [OPTIONS]`.",
        ASKING,
    ),
    CommandEntry(
        "watch",
        "watch:watch",
        "Show the progress of jobs or batches until they end, each by a bar of its own.",
        ASKING,
    ),
    CommandEntry(
        "status",
        "jobs:status",
        "Show a job or batch as it is now. Exit code 1 if one failed or was canceled.",
        ASKING,
    ),
    CommandEntry(
        "show",
        "jobs:show",
        "Tell a job's story: its parameters, and who tried it, when, and with what result.",
        ASKING,
    ),
    CommandEntry(
        "cancel",
        "jobs:cancel",
        "Cancel a job, or all of a batch. Doing it again, or too late, is no error.",
        ASKING,
    ),
    CommandEntry(
        "retry",
        "retrying:retry",
        "Try a job again that failed or was canceled; of a batch, all such jobs as a new batch.",
        ASKING,
    ),
    CommandEntry(
        "download",
        "fetching:download",
        "Fetch the files of a job, or of those jobs of a batch that have completed.",
        ASKING,
    ),
    CommandEntry(
        "open",
        "opening:open_",
        "Open a job's picture, or the first of a batch, and print where it is.",
        ASKING,
    ),
    CommandEntry(
        "delete",
        "deletion:delete",
        "Delete jobs, or a batch of them, with their files. What has not ended is canceled first.",
        ASKING,
    ),
    CommandEntry("list", "jobs:listing", "List jobs, newest first; or batches.", ASKING),
    CommandEntry(
        "health",
        "jobs:health",
        "Show whether a job would run now. Exit code 1 if it would not.",
        ASKING,
    ),
    CommandEntry(
        "workers",
        "workers:listing",
        "List live workers: what they run on, which jobs they hold, why they take none.",
        ASKING,
    ),
    CommandEntry(
        "quota",
        "tenancy.tenants:quota",
        "Show what you may use, and what you have used of it.",
        ASKING,
    ),
    CommandEntry(
        "batch",
        "batch:batch",
        "Submit each request of a file. One that cannot be run does not sink the others.",
        ASKING,
    ),
    CommandEntry(
        "upload",
        "uploading:upload",
        "Store a file for jobs, and print what a request says for it: `asset:ID`.",
        ASKING,
    ),
    CommandEntry(
        "up",
        "up:up",
        "Serve everything on this machine: API, sockets, workers. Without a ComfyUI, simulate one.",
        SERVING,
        has_models=True,
    ),
    CommandEntry(
        "worker",
        "worker:worker",
        'Run jobs on ComfyUI. `eval "$(comfyq env)"` before it joins a running `comfyq up`.',
        SERVING,
    ),
    CommandEntry(
        "mcp",
        "mcp:mcp",
        "Serve the workflows of a server to MCP clients, each as a tool.",
        SERVING,
        has_models=True,
    ),
    CommandEntry(
        "simulator",
        "simulator:simulator",
        "Serve a ComfyUI without a GPU: same protocol, pictures that say SIMULATED.",
        SERVING,
    ),
    CommandEntry(
        "doctor",
        "doctor:doctor",
        "Tell what is wrong on this machine. Exit code 1 if something must be mended.",
        SERVING,
    ),
    CommandEntry(
        "env",
        "env:env",
        'Print the settings of the running `comfyq up`: `eval "$(comfyq env)"`.',
        SERVING,
    ),
    CommandEntry(
        "demo",
        "demo:demo",
        "Start everything on free ports, make one simulated picture, and stop everything.",
        hidden=True,
        has_models=True,
    ),
    CommandEntry("keys create", "tenancy.keys:create", "Make an API key, and print it this once."),
    CommandEntry(
        "keys list",
        "tenancy.keys:listing",
        "List API keys, the oldest first; expired ones for 30 days.",
    ),
    CommandEntry(
        "keys revoke",
        "tenancy.keys:revoke",
        "Revoke an API key: it lets nobody in any more, and its sockets end.",
    ),
    CommandEntry(
        "profiles add",
        "profiles:add",
        "Add a profile, or replace it. The first one is used from then on.",
    ),
    CommandEntry(
        "profiles list",
        "profiles:listing",
        "List profiles, without their keys; * is the one that is used.",
    ),
    CommandEntry(
        "profiles use",
        "profiles:use",
        "Use a profile wherever no option or variable names another server.",
    ),
    CommandEntry(
        "profiles remove",
        "profiles:remove",
        "Remove a profile; its key stays valid until it is revoked.",
    ),
    CommandEntry(
        "tenants limit",
        "tenancy.tenants:limit",
        "Give a tenant limits of its own, instead of the settings'.",
    ),
    CommandEntry(
        "tenants list", "tenancy.tenants:listing", "List tenants that have limits of their own."
    ),
    CommandEntry(
        "tenants show",
        "tenancy.tenants:show",
        "Show a tenant's limits, how long its jobs and files are kept, and whether data is "
        "deleted.",
    ),
    CommandEntry(
        "tenants retention",
        "tenancy.tenants:retention",
        "Keep a tenant's ended jobs and files for a time of its own.",
    ),
    CommandEntry(
        "tenants delete-data",
        "tenancy.tenant_data:delete_data",
        "Delete all jobs, files and other data of a tenant; its keys and its audit log stay.",
    ),
    CommandEntry(
        "webhooks set",
        "tenancy.webhooks:set_",
        "Have those jobs of a tenant told to a URL whose requests name none.",
    ),
    CommandEntry(
        "webhooks show",
        "tenancy.webhooks:show",
        "Show who is told of a tenant's jobs by default, and which receivers fail.",
    ),
    CommandEntry(
        "webhooks delete",
        "tenancy.webhooks:delete",
        "Tell nobody by default; what is still to be told to the default is dropped.",
    ),
    CommandEntry(
        "webhooks secret",
        "tenancy.webhooks:secret",
        "Print the secret that signs a tenant's webhooks, for whoever receives them.",
    ),
    CommandEntry(
        "webhooks rotate",
        "tenancy.webhooks:rotate",
        "Make a new secret, and print it. For a day, the one before signs as well.",
    ),
    CommandEntry(
        "webhooks test",
        "tenancy.webhooks:try_out",
        "Send a message of type webhook.test to the default. Exit code 1 if it did not arrive.",
    ),
    CommandEntry(
        "audit",
        "tenancy.audit:audit",
        "Show who did what to a tenant's keys and data, newest first, for a year.",
        SERVING,
    ),
    CommandEntry(
        "files list",
        "uploading:listing",
        "List stored files, newest first: what counts against the stored bytes of `comfyq quota`.",
    ),
    CommandEntry(
        "files delete",
        "uploading:delete",
        "Delete stored files that no job needs. Their bytes are free some ten minutes later.",
    ),
    CommandEntry(
        "dead list", "dead:listing", "List dead letters, newest first. They are kept for 14 days."
    ),
    CommandEntry("dead show", "dead:show", "Show a dead letter with its whole body."),
    CommandEntry(
        "dead redrive",
        "dead:redrive",
        "Send a dead letter again. Exit code 1 if it was refused again, or rings for nothing.",
    ),
    *AUTHORING_ENTRIES,
    CommandEntry(
        "infra check",
        "infra_check:check",
        "Tell what is wrong with a deployment. Exit code 1 if jobs would not run.",
    ),
    CommandEntry(
        "infra up",
        "infra:up",
        "Deploy template.yaml to a look-alike of AWS, as far as it goes. Again: no change.",
    ),
)
GROUPS = {
    "keys": ("Say who may use a server.", SERVING),
    "profiles": ("Name servers, with what they know you by.", ASKING),
    "tenants": ("Say what each tenant may use, and how long its data is kept; delete it.", SERVING),
    "webhooks": ("Say who is told of jobs, and sign what they are told.", SERVING),
    "files": ("List and delete files that were stored for jobs.", ASKING),
    "dead": ("Read and resend what the queues gave up on.", ASKING),
    "workflows": ("Check and import workflows.", AUTHORING),
    "models": ("Lock, fetch and check the model files of workflows.", AUTHORING),
    "images": ("Make images of workers that have the custom nodes of workflows.", AUTHORING),
    "infra": ("Make what comfyq runs on, and check it.", SERVING),
}


def all_commands() -> Iterator[TyperCommand | TyperGroup]:
    """Every command and group at the top, in the order of the help."""
    for entry in ENTRIES:
        if " " not in entry.name:
            yield LazyCommand(entry)
    for name, (description, panel) in GROUPS.items():
        yield group_of(name, ENTRIES, description=description, panel=panel)
