"""uvicorn's protocol of WebSockets, but that nobody keeps a connection by not reading from it, and
that a handshake which is refused is no defect of the application."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 10.0  # for what was sent last


class BoundedSocket(WebSocketsSansIOProtocol):
    """Ends the connection of a client that does not read, some time after its socket has ended: a
    transport that is closed waits for ever until all is sent, and no place is counted for it."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent:  # by a refusal, too: else a line of the log says that there was none
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, self.transport.abort)
