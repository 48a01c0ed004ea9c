"""The API, the sockets and the reaper as one ASGI application for one process."""

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI

from comfyq.aio.tasks import beside
from comfyq.bootstrap.api import api_app
from comfyq.bootstrap.backends.sockets_secret import sockets_secret
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.telemetry.measurements import metrics_port
from comfyq.config import Facade, LocalSettings
from comfyq.edges.intake.poller import take_for_ever
from comfyq.edges.page.site import SignIn, Site
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper, keep_for_ever
from comfyq.edges.reaper.loop import reap_for_ever
from comfyq.edges.webhooks.loop import WebhookLoop
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.edges.websocket.waiting_reasons import push_reasons_for_ever
from comfyq.local.browsers.cors import keep_pages_out
from comfyq.local.browsers.storage_origins import storage_origins
from comfyq.local.facades.comfyui_sockets import ComfyUISockets
from comfyq.local.gateway import Gateway
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.limits.overload import OverloadGuard
from comfyq.local.limits.places import Places
from comfyq.local.signals import on_stop
from comfyq.local.streams import LocalStreams

HANDSHAKES = 24  # of each socket that an address may have, in a minute


def local_app(
    services: Services, *, names: Iterable[str] = (), heeds_signals: bool = False
) -> FastAPI:
    """Any number of processes may serve it over the same data.

    ``names`` are those of the server beside the settings', such as the host that it listens on.
    ``heeds_signals``: it ends its streams itself when the process is to stop.
    """
    local = services.settings.local
    streams = LocalStreams(places=_stream_places(local), clock=services.ports.clock)
    gateway = _gateway(services, streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.running() as endpoint, beside(*_companions(services, gateway)):
            sockets = services.ports.sockets
            attached = (
                nullcontext() if sockets is None else sockets.attached(endpoint, gateway.deliver)
            )
            exported = metrics_port(services.settings.metrics, services.measurements)
            ending = on_stop(streams.stop) if heeds_signals else nullcontext()
            with attached, services.stall_watch.watching(), exported, ending:
                yield
                await services.batch_news.tell_put_off()  # to sockets of other processes

    app = api_app(services, lifespan=lifespan, streams=streams)
    app.router.routes[:0] = gateway.routes  # two, which other requests pass with a call each
    if Facade.COMFYUI in services.settings.api.served_facades:
        app.router.routes.extend(_comfyui_sockets(services, gateway).routes)
    app.router.routes.extend(_page(services).routes)
    app.add_middleware(OverloadGuard, most=local.requests_at_once)
    keep_pages_out(app, services.settings.api, names=names)
    return app


def _page(services: Services) -> Site:
    settings, sign_in = services.settings, None
    oidc = settings.oidc
    if settings.api.takes_tokens and oidc.page_client:
        sign_in = SignIn(
            issuer=oidc.issuer,
            client=oidc.page_client,
            scope=oidc.page_scope,
            origins=oidc.asked_by_page,
        )
    return Site(
        storage=storage_origins(settings),
        sign_in=sign_in,
        takes_keys=services.accepts_keys,
        is_open=settings.api.is_open,
    )


def _gateway(services: Services, streams: LocalStreams) -> Gateway:
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        authenticator=services.authenticator,
        scheme="http",
        public_url=services.settings.api.public_url,
        connects=services.connect_limit,
    )
    local = services.settings.local
    return Gateway(
        handler.handle,
        clock=services.ports.clock,
        secret=sockets_secret(services.ports.table),
        settings=GatewaySettings(
            sockets=local.sockets,
            sockets_per_client=local.sockets_per_client,
            handshakes_per_client=HANDSHAKES * local.sockets_per_client,
        ),
        streams=streams,
    )


def _comfyui_sockets(services: Services, gateway: Gateway) -> ComfyUISockets:
    return ComfyUISockets(
        services,
        gateway,
        clock=services.ports.clock,
        settings=GatewaySettings(),
        public_url=services.settings.api.public_url,
    )


def _stream_places(local: LocalSettings) -> Places:
    """Leave half of the connections, and half of each client's, for requests that are answered at
    once: a stream keeps its connection."""
    return Places(
        total=max(1, local.connections // 2),
        each_client=max(1, local.connections_per_client // 2),
    )


def _companions(services: Services, gateway: Gateway) -> Iterator[Coroutine[Any, Any, None]]:
    """Return the tasks that run beside the API until it stops."""
    yield reap_for_ever(
        services.reaper,
        period_s=services.settings.local.reap_period_s,
        lease_s=services.settings.timing.lease_s,
    )
    yield push_reasons_for_ever(services.waiting_reasons.push, any_open=gateway.any_open)
    yield WebhookLoop(
        services.due_webhooks, services.webhook_deadlines, clock=services.ports.clock
    ).run()
    keeper = DeadLetterKeeper(
        dead_letters=services.dead_letters, authenticator=services.authenticator
    )
    for origin, inbox in services.ports.dead.items():
        yield keep_for_ever(inbox, keeper, origin=origin)
    if services.ports.submissions is not None:
        yield take_for_ever(services.ports.submissions, services.intake, services.authenticator)
