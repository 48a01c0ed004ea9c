"""Making what a look-alike of AWS does not have yet, from the template's own definitions.

What reads the template is imported when it is asked for: the embedded backend has none.
"""

from dataclasses import replace

from comfyq.bootstrap.clients import Clients
from comfyq.config import Settings

PREFIX = "comfyq"


def provisioned(settings: Settings) -> Settings:
    """``settings`` with the table, queue and bucket of an emulator, made if they are missing.

    Settings that name a queue are returned unchanged: their resources exist already, for example
    by ``comfyq infra up``. Blocks for about a second.
    """
    if settings.aws.queue_url is not None:
        return settings
    from comfyq.adapters.provisioning.provision import provision

    clients = Clients(settings)
    made = provision(
        settings.template,
        prefix=PREFIX,
        dynamodb=clients.dynamodb(),
        sqs=clients.sqs(),
        s3=clients.s3(),
    )
    aws = replace(
        settings.aws,
        table=made.table,
        queue_url=made.queue_url,
        dead_queue_url=made.dead_queue_url,
        submissions_queue_url=made.submissions_queue_url,
        submissions_dead_queue_url=made.submissions_dead_queue_url,
        bucket=made.bucket,
    )
    return replace(settings, aws=aws)
