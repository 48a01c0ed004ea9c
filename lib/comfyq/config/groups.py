"""The settings in groups, each of which is passed on whole.

A field is read from ``COMFYQ_<NAME>``, or from ``<PREFIX><NAME>`` in a group with a ``PREFIX``, or
from the ``Variable`` that it is annotated with: names that other tools use as well have no prefix
of ours. The text below a field is its description in the reference.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from comfyq.config.api import ApiSettings
from comfyq.config.lists import checked_exceptions, listed
from comfyq.config.metrics import MetricsSettings
from comfyq.config.models import ModelSettings
from comfyq.config.oidc import OidcSettings
from comfyq.config.traces import TracesSettings
from comfyq.config.variable import Variable
from comfyq.config.webhooks import WebhookSettings
from comfyq.config.worker import WorkerSettings
from comfyq.domain.caller import tenant_id
from comfyq.domain.files.inputs import InputLimits
from comfyq.domain.submission.node_rules import NodeRules
from comfyq.services.worker.timing import Timing

LEVELS = r"(?i)^(debug|info|warn|warning|error|critical|fatal|notset)$"
PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parents[1]  # a checkout, if the package stands in one


def _shipped(name: str) -> Path:
    """Return where a file of the project is: in a package that was installed, or in a checkout."""
    installed = PACKAGE / name
    return installed if installed.exists() else PROJECT / name


WORKFLOWS = _shipped("workflows")
TEMPLATE = _shipped("template.yaml")


def _some(text: str) -> str:
    if not listed(text):
        raise ValueError("allows no node class at all; write `*` for all, or `safe`")
    return text


class Backend(StrEnum):
    EMBEDDED = "embedded"  # SQLite and files: one machine, no server
    EMULATOR = "emulator"  # the AWS adapters against a look-alike of AWS
    AWS = "aws"


LOOK_ALIKE_ACCESS: Mapping[str, str] = {  # every look-alike of AWS knows this key
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    requests_per_minute: Annotated[int | None, Field(ge=1)] = None
    """A tenant may submit so often, and so many at once; unset: as often as it likes."""
    key_requests_per_minute: Annotated[int | None, Field(ge=1)] = None
    """The holder of an API key may submit so often, unless the key has a rate of its own, and a
    subject of tokens too; unset: as often as their tenant may."""
    jobs_per_day: Annotated[int | None, Field(ge=1)] = None
    """A tenant may make so many jobs in a day, which begins at 00:00 UTC; unset: as many as it
    likes. Those of the submissions queue count."""
    waiting_jobs: Annotated[int, Field(ge=1)] = 10_000
    """So many jobs of a tenant may wait. More are refused with 429; of the submissions queue, they
    fail and are kept as dead letters, to be sent again."""
    fair_queue: bool = False
    """Send jobs and webhooks with their tenant as message group, for SQS fair queues."""
    submissions_tenant: Annotated[str, AfterValidator(tenant_id)] = "default"
    """The tenant whose jobs the requests of the submissions queue become, whatever they say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    retention_s: Annotated[int, Field(ge=0)] = 30 * 86_400
    """Ended jobs and their files are kept for that long."""
    unsuited_timeout_s: Annotated[int, Field(ge=1)] = 21_600
    """A job that no worker is able to run waits that long for one, then it fails."""
    input_max_bytes: Annotated[int, Field(ge=0)] = 50_000_000
    """Largest file that a job may have fetched from a URL, and largest picture of one."""
    upload_max_bytes: Annotated[int, Field(ge=0)] = 512_000_000
    """Largest file that a client may upload. On AWS, larger ones than 4.5 MB go to asset storage
    itself: they are announced by `POST /assets/uploads`."""
    uploads_bytes: Annotated[int, Field(ge=1)] = 50 * 10**9
    """The stored files of a tenant, sent as uploads or data URIs, may have so many bytes together,
    and each takes 8 KiB more; others are refused with 413. A file is deleted when it was not used
    for the time of retention and no job may still need it."""
    output_bytes: Annotated[int | None, Field(ge=1)] = None
    """While the stored outputs of a tenant's jobs have so many bytes together, it makes no more
    jobs: they are refused with 413. The same for every worker and the API. Unset: as many as there
    is room for, and nobody counts."""
    input_max_files: Annotated[int, Field(ge=1)] = 50
    """A job may have so many different input files."""
    input_max_total_bytes: Annotated[int, Field(ge=1)] = 1_000_000_000
    """The input files of a job may be so large together."""
    input_max_s: Annotated[float, Field(gt=0)] = 120
    """The worker fetches and checks the input files of a job for that long at most."""
    input_allow: Annotated[str, AfterValidator(checked_exceptions)] = ""
    """Hosts and networks, with commas, that input files may be fetched from though they are not
    public; metadata services of clouds stay closed."""
    running_jobs: Annotated[int | None, Field(ge=1, le=1_000)] = None
    """So many jobs of a tenant may be with workers at once, running or next in ComfyUI's queue;
    others wait, and say so. The same for every worker and the API. Unset: as many as there is room
    for."""

    nodes: Annotated[str, AfterValidator(_some)] = "*"
    """Node classes that graphs may have, with commas; each name may have `*` and `?`, and `safe`
    stands for the classes of the safe profile."""
    nodes_denied: str = ""
    """Node classes that graphs may not have, with commas, though the list of allowed ones has them;
    each name may have `*` and `?`."""

    @property
    def node_rules(self) -> NodeRules:
        """Return what graphs may do."""
        return NodeRules(allowed=listed(self.nodes), denied=listed(self.nodes_denied))

    @property
    def inputs(self) -> InputLimits:
        """Return the limits on the input files of one job."""
        return InputLimits(
            max_bytes=self.input_max_bytes,
            max_files=self.input_max_files,
            max_total_bytes=self.input_max_total_bytes,
            max_s=self.input_max_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Settings of a system that runs on one machine."""

    reap_period_s: Annotated[float, Field(gt=0)] = 1.0
    """The reaper of `comfyq up` runs so often at most."""
    connections: Annotated[int, Field(ge=1)] = 1_000
    """HTTP connections at the same time. With the sockets they are at most half of the files that
    the process may open (`ulimit -n`): else fewer of both."""
    connections_per_client: Annotated[int, Field(ge=1)] = 250
    """HTTP connections of one address; behind a proxy, which is one address, as many as in all."""
    requests_at_once: Annotated[int, Field(ge=1)] = 256
    """So many HTTP requests may wait for the server; while they do, more are answered 503 at once
    instead of making all of them later. What waits for its client does not count."""
    sockets: Annotated[int, Field(ge=1)] = 1_000
    """WebSockets at the same time."""
    sockets_per_client: Annotated[int, Field(ge=1)] = 250
    """WebSockets of one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsEndpoints:
    """The look-alikes of AWS; without any, boto3 decides."""

    PREFIX: ClassVar[str] = "AWS_ENDPOINT_"

    url: str | None = None
    """URL of a look-alike of AWS, for every service."""
    url_dynamodb: str | None = None
    """URL of a look-alike of DynamoDB alone."""
    url_sqs: str | None = None
    """URL of a look-alike of SQS alone."""
    url_s3: str | None = None
    """URL of a look-alike of S3 alone."""
    localstack_host: Annotated[str | None, Variable("LOCALSTACK_HOST")] = None
    """Host or host:port of LocalStack, where localstack-client finds each service."""

    def own(self, service: str) -> str | None:
        """The URL that is named for one service alone."""
        named = {"dynamodb": self.url_dynamodb, "sqs": self.url_sqs, "s3": self.url_s3}
        return named.get(service)

    @property
    def are_complete(self) -> bool:
        """Return whether each of AWS's services has a look-alike that is named."""
        each = (self.url_dynamodb, self.url_sqs, self.url_s3)
        return None not in each or not (self.url is None and self.localstack_host is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """Table, queues and bucket; they lead every process to the same jobs."""

    table: str = "comfyq"
    """Name of the DynamoDB table."""
    queue_url: str | None = None
    """URL of the queue of jobs; needed by every backend but `embedded`."""
    dead_queue_url: str | None = None
    """URL of the jobs' dead-letter queue; unset: nothing reads it."""
    submissions_queue_url: str | None = None
    """URL of the queue that takes requests without HTTP; unset: nothing reads it."""
    submissions_dead_queue_url: str | None = None
    """URL of the dead-letter queue of those requests; unset: nothing reads it."""
    bucket: str = "comfyq"
    """Name of the S3 bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinioSettings:
    PREFIX: ClassVar[str] = "MINIO_"

    endpoint: str | None = None
    """host:port of MinIO or any S3 that keeps the files; unset: the data directory or AWS's S3."""
    bucket: str = "comfy-gen"
    """Name of the bucket there."""
    access_key: str | None = None
    """Its access key."""
    secret_key: SecretStr | None = None
    """Its secret key."""
    secure: bool = False
    """Connect by HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfyUISettings:
    PREFIX: ClassVar[str] = "COMFYUI_"

    url: str | None = None
    """URL of ComfyUI; unset: COMFYUI_HOST, or for `comfyq up` a simulator."""
    dir: Path | None = None
    """ComfyUI's directory, whose folders the worker keeps clean; unset: not on this machine."""
    host: str | None = None
    """Host or host:port of ComfyUI; the host alone means port 8188."""

    @property
    def base_url(self) -> str | None:
        """From COMFYUI_URL or, as host[:port], from COMFYUI_HOST."""
        if self.url:
            return self.url.rstrip("/")
        if not self.host:
            return None
        host = self.host.removeprefix("http://").rstrip("/")
        return f"http://{host}" if ":" in host else f"http://{host}:8188"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    backend: Backend = Backend.EMBEDDED
    """Storage of the jobs: `embedded`, `emulator` or `aws`."""
    data_dir: Path = Path(".comfyq")
    """Directory of the embedded backend's data and of what workers keep."""
    outputs_dir: Path | None = None
    """Folder in which outputs are found by day and job, as links to the files of the data
    directory that come and go with their jobs; unset: none."""
    workflows_dir: Path = WORKFLOWS
    """Directory with one folder for each workflow."""
    template: Path = TEMPLATE
    """The template that look-alikes of AWS are set up from."""
    log_level: Annotated[str, Field(pattern=LEVELS)] = "info"
    """Log lines from this level on: `debug`, `info`, `warning`, `error` or `critical`."""

    api: ApiSettings = field(default_factory=ApiSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    tenants: TenantSettings = field(default_factory=TenantSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    endpoints: AwsEndpoints = field(default_factory=AwsEndpoints)
    aws: AwsSettings = field(default_factory=AwsSettings)
    minio: MinioSettings = field(default_factory=MinioSettings)
    comfyui: ComfyUISettings = field(default_factory=ComfyUISettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    timing: Timing = field(default_factory=Timing)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    traces: TracesSettings = field(default_factory=TracesSettings)

    @property
    def node_rules(self) -> NodeRules:
        """Return what graphs may do: where clients sign in, theirs load their own files alone."""
        return replace(self.limits.node_rules, own_files_only=not self.api.is_open)

    @property
    def uploads_dir(self) -> Path:
        """Return the folder of uploads in progress; Lambda can write nowhere else."""
        if self.backend is Backend.AWS:
            return Path(tempfile.gettempdir()) / "comfyq-uploads"
        return self.data_dir / "uploads"
