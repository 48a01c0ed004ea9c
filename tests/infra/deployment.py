"""A deployment on an emulator whose functions and worker are overheard, each under its own role."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.adapters.system.clock import SystemClock
from comfyq.aio.tasks import beside
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.lambdas.api import api_function
from comfyq.bootstrap.lambdas.intake import intake_function
from comfyq.bootstrap.lambdas.reaper import reaper_function
from comfyq.bootstrap.lambdas.webhooks import webhooks_function
from comfyq.bootstrap.lambdas.websocket import websocket_function
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker import open_worker
from comfyq.config import (
    ApiSettings,
    Auth,
    AwsEndpoints,
    AwsSettings,
    Backend,
    LimitSettings,
    MetricsSettings,
    Settings,
    WebhookSettings,
    WorkerSettings,
    read_settings,
    variables_of,
)
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from comfyq.domain.job import JobId
from comfyq.records.webhooks.deliveries import key_of
from comfyq.services.worker.timing import Timing
from comfyq.testing.memory.clock import ManualClock
from comfyui_simulator import Simulator, SimulatorSettings
from infra.checks.calls import Recording
from tests.infra.recording import Overhearing, overheard

EVENTS = Path(__file__).parents[1] / "data"
CONTEXT: Any = SimpleNamespace(aws_request_id="r1", function_name="f")
DEADLINE_S = 30
ROLES = ("ApiRole", "WebSocketRole", "ReaperRole", "IntakeRole", "WebhookRole", "WorkerPolicy")
REQUESTS_PER_MINUTE = 1_000  # the API alone counts them
JOBS_PER_DAY = 1_000  # so do the intake, and the reaper with what it could not take
GONE, PRESENT, THROTTLED = "gone", "present", "throttled"  # connection ids

Answer = Mapping[str, Any]


class Deployment:
    """The resources of template.yaml, and the roles that work on them."""

    def __init__(self, made: Provisioned, *, endpoint: str, data_dir: Path) -> None:
        self.settings = Settings(
            backend=Backend.EMULATOR,
            data_dir=data_dir,
            api=ApiSettings(public_url="https://api.example", auth=Auth.KEYS),
            endpoints=AwsEndpoints(url=endpoint),
            aws=AwsSettings(
                table=made.table,
                queue_url=made.queue_url,
                bucket=made.bucket,
                submissions_dead_queue_url=made.submissions_dead_queue_url,
            ),
            worker=WorkerSettings(wait_s=1),
            # limits that cost rights of their own
            limits=LimitSettings(running_jobs=1_000, output_bytes=10**12),
            timing=Timing(lease_s=20, renew_s=15),
            metrics=MetricsSettings(metrics_emf=True),  # it reads more
            webhooks=WebhookSettings(
                webhook_allow="127.0.0.1", webhooks_queue_url=made.webhooks_queue_url
            ),
        )
        queues = {
            made.queue_url: "JobsQueue",
            made.dead_queue_url: "JobsDeadLetters",
            made.submissions_queue_url: "SubmissionsQueue",
            made.submissions_dead_queue_url: "SubmissionsDeadLetters",
            made.webhooks_queue_url: "WebhooksQueue",
        }
        self.recordings = {role: Recording(queues) for role in ROLES}
        self._onlooker = self.services()
        asyncio.run(_has_left(self._onlooker))  # makes its client, which nobody will overhear
        self.key = asyncio.run(self.new_key())

    async def new_key(self) -> str:
        """Make an API key, as an administrator does before anything runs."""
        keys = self._onlooker.api_keys
        return (await keys.create(DEFAULT_TENANT, "a key", frozenset(Scope), lives=None))[1]

    @contextmanager
    def role(self, name: str) -> Iterator[Overhearing]:
        """Whatever is called inside, ``name`` needs the right for; its sockets are all there but
        GONE, and THROTTLED takes no frames."""
        with overheard(self.recordings[name], post=_status_of) as overhearing:
            yield overhearing

    def services(self, **changes: Any) -> Services:
        """Services under the deployment's settings, with ``changes`` of variables."""
        settings = self._with(**changes)
        return Services(settings, open_ports(settings))

    def services_of(self, *, ago: timedelta) -> Services:
        """Services to which it is earlier than it is."""
        clock = ManualClock(SystemClock().now() - ago)
        return Services(self.settings, replace(open_ports(self.settings), clock=clock))

    def api(self) -> "Api":
        limited = self._with(
            COMFYQ_REQUESTS_PER_MINUTE=REQUESTS_PER_MINUTE,
            COMFYQ_JOBS_PER_DAY=JOBS_PER_DAY,
            COMFYQ_FACADES="comfyui",
        )
        return Api(api_function(limited), self.key)

    def _with(self, **changes: Any) -> Settings:
        return read_settings(variables_of(self.settings), **changes)

    def websocket(self) -> Callable[..., Answer]:
        function = websocket_function(self.settings)

        def send(name: str, connection: str, **changes: Any) -> Answer:
            event = _event(f"websocket/{name}")
            event["requestContext"]["connectionId"] = connection
            if name == "connect":
                event["headers"] |= authorization(self.key)
            return function(event | changes, CONTEXT)

        return send

    def reap(self, *records: Answer) -> Answer:
        """One look, or dead letters."""
        event = {"Records": records} if records else _event("sqs/schedule")
        return reaper_function(self._with(COMFYQ_JOBS_PER_DAY=JOBS_PER_DAY))(event, CONTEXT)

    def tell(self, job_id: str) -> Answer:
        """Ring for what is to be told of a job."""
        deliveries = asyncio.run(self._onlooker.webhook_delivery_records.of_job(JobId(job_id)))
        rings = [json.dumps(key_of(each)._asdict()) for each in deliveries if each.is_pending]
        event = {"Records": [submission(ring) for ring in rings]}
        return webhooks_function(self.settings)(event, CONTEXT)

    def tell_late(self, batch_id: str, job_id: str) -> Answer:
        """Bring the message that asks for a frame which another function has put off."""
        event = {"Records": [submission(json.dumps({"batch_id": batch_id, "job_id": job_id}))]}
        return webhooks_function(self.settings)(event, CONTEXT)

    def take(self, *records: Answer) -> Answer:
        return intake_function(self._with(COMFYQ_JOBS_PER_DAY=JOBS_PER_DAY))(
            {"Records": records}, CONTEXT
        )

    def dead(self, body: str, *, of: str) -> dict[str, Any]:
        """A record of the queue ``of``, as Lambda gets it."""
        queue = of.rpartition("/")[2]
        arn = f"arn:aws:sqs:us-east-1:123456789012:{queue}"
        return submission(body) | {"eventSourceARN": arn}

    def work(self, until: Callable[[Services], Awaitable[bool]], **changes: Any) -> None:
        """Run a worker with a simulated ComfyUI until ``until`` holds, then stop it.

        ``until`` looks through services of its own, as nobody's role.
        """
        simulator = SimulatorSettings(step_s=changes.pop("step_s", 0.001), preview_every_steps=0)
        asyncio.run(self._work(until, simulator, lambda: self.services(**changes)))

    def work_without_limit(self, until: Callable[[Services], Awaitable[bool]]) -> None:
        """Do what ``work`` does where the jobs with workers are not limited, as is usual."""
        limits = replace(self.settings.limits, running_jobs=None, output_bytes=None)
        settings = replace(self.settings, limits=limits)
        simulator = SimulatorSettings(step_s=0.001, preview_every_steps=0)
        asyncio.run(self._work(until, simulator, lambda: Services(settings, open_ports(settings))))

    async def _work(
        self,
        until: Callable[[Services], Awaitable[bool]],
        simulator: SimulatorSettings,
        made: Callable[[], Services],
    ) -> None:
        services = made()
        async with AsyncExitStack() as stack:
            comfyui = await stack.enter_async_context(Simulator(simulator))
            worker = await stack.enter_async_context(
                open_worker(services, comfyui_url=comfyui.url, engine="simulator")
            )
            async with beside(worker.run()), asyncio.timeout(DEADLINE_S):
                while not await until(self._onlooker):  # noqa: ASYNC110 - the table has no event
                    await asyncio.sleep(0.02)
                worker.stop()
                while not await _has_left(self._onlooker):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


class Api:
    """API Gateway's events through the API's function."""

    def __init__(self, function: Callable[[Any, Any], Answer], key: str) -> None:
        self._function = function
        self._key = key

    def __call__(self, name: str, path: str | None = None, **changes: Any) -> Answer:
        event = _event(f"apigw/{name}")
        if path is not None:
            at = urlsplit(path)
            event["rawPath"] = event["requestContext"]["http"]["path"] = at.path
            event["rawQueryString"] = at.query
        return self._call(event | changes)

    def put(self, path: str, body: str) -> Answer:
        """Send JSON by PUT."""
        event = _event("apigw/generate") | {"body": body}
        event["requestContext"]["http"] |= {"method": "PUT", "path": path}
        return self._call(event | {"rawPath": path})

    def submit(self, key: str, *, steps: int = 2, **more: Any) -> str:
        """The id of a new job."""
        event = _event("apigw/generate")
        event["headers"]["idempotency-key"] = key
        body = {"prompt": "a fox", "width": 64, "height": 64, "steps": steps, **more}
        answer = self._call(event | {"body": json.dumps(body)})
        assert answer["statusCode"] == 202, answer["body"]
        job_id: str = json.loads(answer["body"])["id"]
        return job_id

    def _call(self, event: dict[str, Any]) -> Answer:
        event["headers"] = event["headers"] | authorization(self._key)
        return self._function(event, CONTEXT)


def authorization(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def submission(body: str, **attributes: str) -> dict[str, Any]:
    """A message as SQS hands it to a function, with an id of its own."""
    texts = {name: {"stringValue": value} for name, value in attributes.items()}
    record: dict[str, Any] = _event("sqs/submissions")["Records"][0]
    return record | {"messageId": str(uuid4()), "body": body, "messageAttributes": texts}


async def _has_left(services: Services) -> bool:
    return not await services.workers.live()


def _status_of(connection: str) -> int:
    return {GONE: 410, THROTTLED: 429}.get(connection, 200)


def _event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event
