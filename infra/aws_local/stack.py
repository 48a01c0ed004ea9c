"""The whole cloud path on this machine, from the emulator to a worker."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import boto3

from comfyq.aio.tasks import beside
from comfyq.bootstrap.runtime_file import runtime_file
from comfyq.config import AwsEndpoints, Backend, read_settings
from comfyq.local.emulator import Emulator
from comfyq.local.serving import listen, serving_app
from infra.aws_local.children import child
from infra.aws_local.cloud import SERVICES, Cloud, read_cloud, surroundings
from infra.aws_local.front import Front
from infra.aws_local.function import Function
from infra.aws_local.sandbox import REGION, ROOT, Spec
from infra.aws_local.secure import Identity, identity_in
from infra.aws_local.sources import poll_for_ever, schedule_for_ever
from infra.deployment.look_alike import Infra, deploy_to_look_alike

HOST = "127.0.0.1"
STACK = "comfyq"
STEP_S = 0.03  # of the simulator: a job of 150 steps is still there when a command cancels it


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    data_dir: Path
    port: int = 0
    workers: int = 1  # processes for each ComfyUI
    comfyui: Sequence[str] = ()  # base URLs; none: a simulator, if there are workers
    auth: str | None = None  # COMFYQ_AUTH of the functions; None: as template.yaml has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The running parts."""

    url: str
    infra: Infra
    functions: Mapping[str, Function]
    comfyui: Sequence[str]
    exports: Mapping[str, str]  # with which another process joins


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """Start everything; at the end workers drain and everything stops.

    Raises:
        EmulatorError, CannotDeploy, WrongDeployment, PortTaken: nothing is left running.
    """
    data = options.data_dir.resolve()
    logs = data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        endpoint = await _emulator(stack, data)
        infra = await asyncio.to_thread(_deployed, endpoint)
        port = _port(options.port)
        session = _session()
        cloud = await asyncio.to_thread(read_cloud, infra, session, front=f"{HOST}:{port}")
        identity = identity_in(data)
        around = surroundings(endpoint, identity.certificate, read_settings().workflows_dir)
        functions = {
            name: Function(_with_auth(spec, options.auth), surroundings=around, logs=logs)
            for name, spec in cloud.functions.items()
        }
        for function in functions.values():
            stack.push_async_callback(function.stop)
        app = _front(cloud, functions, identity).app
        url = await stack.enter_async_context(serving_app(app, host=HOST, port=port))
        await stack.enter_async_context(_called(cloud, functions, session, endpoint))
        exports = {**around, **_exports(infra, url, data)}
        comfyui = await _workers(stack, options, {**_own_settings(), **exports}, logs)
        stack.enter_context(runtime_file(data, exports))
        yield Running(url=url, infra=infra, functions=functions, comfyui=comfyui, exports=exports)


def _with_auth(spec: Spec, auth: str | None) -> Spec:
    if auth is None:
        return spec
    return replace(spec, environment={**spec.environment, "COMFYQ_AUTH": auth})


async def _emulator(stack: AsyncExitStack, data: Path) -> str:
    """The endpoint of a new one, which keeps what it has where it is stopped in order."""
    home = ROOT / ".emulator"
    emulator = Emulator(environment=home, data_dir=data / "emulator", services=SERVICES)
    await asyncio.to_thread(emulator.start)
    stack.push_async_callback(asyncio.to_thread, emulator.stop)
    return emulator.url


def _front(cloud: Cloud, functions: Mapping[str, Function], identity: Identity) -> Front:
    return Front(
        http=functions["ApiFunction"],
        sockets=functions["WebSocketFunction"],
        api_id=cloud.http_api,
        stage=cloud.stage,
        identity=identity,
    )


def _called(
    cloud: Cloud, functions: Mapping[str, Function], session: boto3.Session, endpoint: str
) -> AbstractAsyncContextManager[None]:
    """Queues and the schedule call their functions meanwhile."""
    sqs = session.client("sqs", endpoint_url=endpoint)
    pollers = [
        poll_for_ever(source, functions[name], sqs)
        for name, sources in cloud.queues.items()
        for source in sources
    ]
    clocks = [schedule_for_ever(rate, functions[name]) for name, rate in cloud.schedules.items()]
    return beside(*pollers, *clocks)


async def _workers(
    stack: AsyncExitStack, options: Options, exports: Mapping[str, str], logs: Path
) -> Sequence[str]:
    """Worker processes, each as it would run beside a GPU; the ComfyUIs that they drive."""
    urls = list(options.comfyui)
    if not urls and options.workers:
        simulator = await stack.enter_async_context(
            child(
                *("simulator", "--port", 0, "--step-s", STEP_S),
                env={},
                log=logs / "simulator.log",
            )
        )
        urls = [simulator["url"]]
    for number in range(options.workers if urls else 0):
        given = [part for url in urls for part in ("--comfyui", url)]
        log = logs / f"worker-{number}.log"
        await stack.enter_async_context(child("worker", *given, env=exports, log=log))
    return urls


def _deployed(endpoint: str) -> Infra:
    located = replace(read_settings(), endpoints=AwsEndpoints(url=endpoint))
    return deploy_to_look_alike(located, stack=STACK, tools=ROOT / ".infra")


def _exports(infra: Infra, url: str, data: Path) -> Mapping[str, str]:
    """A worker's settings as docs/deploy.md gives them, and where the rest of it is."""
    return {
        **infra.exports,
        "COMFYQ_BACKEND": str(Backend.AWS),
        "COMFYQ_DATA_DIR": str(data),
        "COMFYQ_URL": url,
        "PUBLIC_URL": url,
    }


def _own_settings() -> Mapping[str, str]:
    """Remove settings of workers from the environment; functions have the template's."""
    own = os.environ.items()  # noqa: TID251 - not read here, but passed on
    return {name: value for name, value in own if name.startswith("COMFYQ_")}


def _session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106


def _port(wanted: int) -> int:
    """The port that will be served; functions are told of it before it is."""
    with listen(HOST, wanted) as probe:
        port: int = probe.getsockname()[1]
        return port
