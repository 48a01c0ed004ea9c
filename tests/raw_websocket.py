"""The bytes of RFC 6455, for clients that nothing but this project's tests is made with."""

import base64
import os
import struct
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
ACCEPTED = b"101"


def handshake(host: str, path: str) -> bytes:
    """Return the request that opens a socket, without extensions."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join((*lines, "", "")).encode()


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole message of at most 64 KB as a client sends it: masked."""
    size = len(payload)
    length = bytes([MASKED | size]) if size < 126 else struct.pack("!BH", MASKED | 126, size)
    key = os.urandom(4)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes([FINAL | opcode]) + length + key + masked


class ServerBytes:
    """Bytes of a server as they come; whole frames are taken out of them."""

    def __init__(self) -> None:
        self.head: bytes | None = None  # of the answer to the handshake, once it is complete
        self._bytes = bytearray()

    @property
    def status(self) -> bytes:
        """Return the status of the answer to the handshake."""
        assert self.head is not None, "the answer has not come"
        return self.head.split(b" ", 2)[1]

    def fed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take more bytes; yield the opcode and the payload of each frame that is whole by now."""
        self._bytes += data
        if self.head is None:
            head, end, rest = self._bytes.partition(b"\r\n\r\n")
            if not end:
                return
            self.head, self._bytes = bytes(head), rest
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[int, bytes] | None:
        if len(self._bytes) < 2:
            return None
        begins, size = 2, self._bytes[1]
        if size > 125:
            begins = 4 if size == 126 else 10
            if len(self._bytes) < begins:
                return None
            size = int.from_bytes(self._bytes[2:begins])
        if len(self._bytes) < begins + size:
            return None
        opcode, payload = self._bytes[0] & 0x0F, bytes(self._bytes[begins : begins + size])
        assert self._bytes[0] & FINAL, "no server of ours sends a message in parts"
        del self._bytes[: begins + size]
        return opcode, payload
