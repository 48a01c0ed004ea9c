"""All settings, read from the environment once. No other module reads it."""

import os
import socket
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[2]


class Backend(StrEnum):
    EMBEDDED = "embedded"  # SQLite and files: one machine, no server
    EMULATOR = "emulator"  # the AWS adapters against a look-alike of AWS
    AWS = "aws"


def _unprefixed(name: str) -> AliasChoices:
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """``COMFYQ_<NAME>``, but for the names that other tools use as well, which have no prefix."""

    model_config = SettingsConfigDict(
        env_prefix="COMFYQ_", frozen=True, populate_by_name=True, extra="ignore"
    )

    backend: Backend = Backend.EMBEDDED  # where jobs are kept: `embedded`, `emulator` or `aws`
    data_dir: Path = Path(".comfyq")  # the embedded backend's data, and what workers keep
    workflows_dir: Path = PROJECT / "workflows"  # one folder a workflow
    template: Path = PROJECT / "template.yaml"  # what look-alikes of AWS are set up from
    log_level: str = "info"  # `debug`, `info`, `warning` or `error`

    public_url: Annotated[str | None, Field(validation_alias=_unprefixed("PUBLIC_URL"))] = (
        None  # what links in answers begin with; unset: what the request was sent to
    )
    ws_url: str | None = None  # of the WebSocket API; unset: the API's own host
    link_secret: SecretStr | None = None  # signs output links; unset: made once, kept in the table
    link_expires_s: int = 7 * 86_400  # an output link is good for that long
    requests_per_minute: int | None = None  # of one tenant; unset: any number
    retention_s: int = 30 * 86_400  # ended jobs and their files are kept that long
    input_max_bytes: int = 50_000_000  # of one file that a job brings along
    input_allow: str = ""  # hosts and networks, with commas, to fetch from that are not public
    reap_period_s: float = 1.0  # the reaper looks so often, on one machine
    scale_to_zero: bool = False  # no worker is no fault

    aws_endpoint_url: Annotated[
        str | None, Field(validation_alias=_unprefixed("AWS_ENDPOINT_URL"))
    ] = None  # of an AWS look-alike
    aws_endpoint_url_dynamodb: Annotated[
        str | None, Field(validation_alias=_unprefixed("AWS_ENDPOINT_URL_DYNAMODB"))
    ] = None  # of DynamoDB alone
    aws_endpoint_url_sqs: Annotated[
        str | None, Field(validation_alias=_unprefixed("AWS_ENDPOINT_URL_SQS"))
    ] = None  # of SQS alone
    aws_endpoint_url_s3: Annotated[
        str | None, Field(validation_alias=_unprefixed("AWS_ENDPOINT_URL_S3"))
    ] = None  # of S3 alone
    localstack_host: Annotated[
        str | None, Field(validation_alias=_unprefixed("LOCALSTACK_HOST"))
    ] = None  # of LocalStack, host or host:port; localstack-client then finds each service

    table: str = "comfyq"  # name of the DynamoDB table
    queue_url: str | None = None  # of the queue of jobs
    dead_queue_url: str | None = None  # where the queue's dead letters go; unset: nobody looks
    submissions_queue_url: str | None = None  # of requests sent straight to a queue
    submissions_dead_queue_url: str | None = None  # where dead requests go; unset: nobody looks
    submissions_tenant: str = "default"  # whose jobs those requests are, whatever they say
    fair_queue: bool = False  # SQS fair queues: the tenant as message group
    bucket: str = "comfyq"  # name of the S3 bucket
    visibility_s: float = 120  # of a message of the embedded queue that was received

    minio_endpoint: Annotated[str | None, Field(validation_alias=_unprefixed("MINIO_ENDPOINT"))] = (
        None  # host:port of MinIO or any S3; unset: files, or S3 on AWS
    )
    minio_bucket: Annotated[str, Field(validation_alias=_unprefixed("MINIO_BUCKET"))] = (
        "comfy-gen"  # name of the bucket
    )
    minio_access_key: Annotated[
        str | None, Field(validation_alias=_unprefixed("MINIO_ACCESS_KEY"))
    ] = None  # its credentials
    minio_secret_key: Annotated[
        SecretStr | None, Field(validation_alias=_unprefixed("MINIO_SECRET_KEY"))
    ] = None  # its credentials
    minio_secure: Annotated[bool, Field(validation_alias=_unprefixed("MINIO_SECURE"))] = (
        False  # HTTPS
    )

    comfyui_url: Annotated[str | None, Field(validation_alias=_unprefixed("COMFYUI_URL"))] = (
        None  # where ComfyUI listens; unset: COMFYUI_HOST, or a simulator
    )
    comfyui_dir: Annotated[Path | None, Field(validation_alias=_unprefixed("COMFYUI_DIR"))] = (
        None  # whose folders the worker keeps clean; unset: not on this machine
    )
    comfyui_host: Annotated[str | None, Field(validation_alias=_unprefixed("COMFYUI_HOST"))] = (
        None  # host or host:port; the host alone means port 8188
    )

    ecs_agent_uri: Annotated[str | None, Field(validation_alias=_unprefixed("ECS_AGENT_URI"))] = (
        None  # set by ECS in each of its containers
    )
    worker_id: str | None = None  # of the worker; unset: made once, kept in the data directory
    depth: Annotated[int, Field(ge=1, le=8)] = 2  # prompts kept in ComfyUI's queue
    affinity: bool = True  # prefer waiting jobs whose models ComfyUI holds
    affinity_max_wait_s: float = 60  # no job is passed over for longer
    drain_s: float = 100  # a running job may finish within it when the worker is stopped
    beat_s: float = 5  # the worker's sign of life comes so often
    live_s: float = 20  # a worker that has not been heard of for that long is not there
    wait_s: float = 20  # of one long poll of the queue

    lease_s: float = 120  # a worker that is not heard of for that long has lost its job
    renew_s: float = 40  # leases are renewed so often
    watch_s: float = 0.5  # a job that was not written for that long is read, to see a cancel
    store_progress_s: float = 1.0  # progress is stored at most so often
    push_progress_s: float = 0.25  # progress is pushed to each follower at most so often
    retry_s: float = 2  # first pause before a failed attempt is tried again; doubles
    upload_give_up_s: float = 900  # storage that refuses results for that long fails the job
    resend_s: float = 30  # results that storage refused are sent again so often
    spool_bytes: int = 10 * 2**30  # which may lie on the worker's disk until then
    min_free_bytes: int = 10**9  # with less left on a disk that jobs need, none is claimed
    stop_s: float = 15  # ComfyUI hangs if it stops a prompt no sooner, unless its steps are slow
    silent_s: float = 10  # ComfyUI may be silent for so long before its prompts are given up
    unavailable_s: float = 5  # pause before a job is tried again that found ComfyUI away

    def comfyui(self) -> str | None:
        """ComfyUI's base URL, from COMFYUI_URL or, as host[:port], from COMFYUI_HOST."""
        if self.comfyui_url:
            return self.comfyui_url.rstrip("/")
        if not self.comfyui_host:
            return None
        host = self.comfyui_host.removeprefix("http://").rstrip("/")
        return f"http://{host}" if ":" in host else f"http://{host}:8188"

    @property
    def places(self) -> dict[str, str]:
        """The variables that lead another process to the same table, queues and bucket."""
        named = {
            **self.endpoints,
            "COMFYQ_TABLE": self.table,
            "COMFYQ_QUEUE_URL": self.queue_url,
            "COMFYQ_DEAD_QUEUE_URL": self.dead_queue_url,
            "COMFYQ_SUBMISSIONS_QUEUE_URL": self.submissions_queue_url,
            "COMFYQ_SUBMISSIONS_DEAD_QUEUE_URL": self.submissions_dead_queue_url,
            "COMFYQ_BUCKET": self.bucket,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def endpoints(self) -> dict[str, str]:
        """The look-alikes of AWS that are named, under the variables that name them."""
        named = {
            "AWS_ENDPOINT_URL": self.aws_endpoint_url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.aws_endpoint_url_dynamodb,
            "AWS_ENDPOINT_URL_SQS": self.aws_endpoint_url_sqs,
            "AWS_ENDPOINT_URL_S3": self.aws_endpoint_url_s3,
            "LOCALSTACK_HOST": self.localstack_host,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def has_every_endpoint(self) -> bool:
        """Whether each of AWS's services has a look-alike that is named."""
        named = self.endpoints.keys()
        each = {f"AWS_ENDPOINT_URL_{service}" for service in ("DYNAMODB", "SQS", "S3")}
        return bool(named & {"AWS_ENDPOINT_URL", "LOCALSTACK_HOST"}) or each <= named

    @property
    def uploads_dir(self) -> Path:
        """Where a client's file is on its way to asset storage; Lambda can write nowhere else."""
        if self.backend is Backend.AWS:
            return Path(tempfile.gettempdir()) / "comfyq-uploads"
        return self.data_dir / "uploads"

    @property
    def host(self) -> str:
        return socket.gethostname()

    @property
    def pid(self) -> int:
        return os.getpid()
