"""The frames that clients may send: the shape of each, and the scope that its sender needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from comfyq.domain.caller import Scope
from comfyq.wire.generate.frames import PingFrame, SubscribeFrame, UnsubscribeFrame

ClientFrame = SubscribeFrame | UnsubscribeFrame | PingFrame

CONNECT_SCOPE = Scope.READ  # a socket is for following jobs


@dataclass(frozen=True, slots=True)
class FrameKind:
    shape: type[ClientFrame]
    scope: Scope | None  # None: anyone may send it


PING = FrameKind(PingFrame, scope=None)  # it reveals nothing and changes nothing
FRAMES: Mapping[str, FrameKind] = {  # by the route that API Gateway chooses from `action`
    "subscribe": FrameKind(SubscribeFrame, Scope.READ),
    "unsubscribe": FrameKind(UnsubscribeFrame, Scope.READ),
    "$default": PING,
}
