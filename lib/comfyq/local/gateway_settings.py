from dataclasses import dataclass

MAX_MESSAGE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The limits of a gateway's sockets, by default API Gateway's own.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/
    apigateway-execution-service-websocket-limits-table.html
    """

    idle_s: float = 600  # without a message in either direction
    max_age_s: float = 7_200
    max_message_bytes: int = MAX_MESSAGE_BYTES
    handler_timeout_s: float = 29
    repeat_s: float = 60  # a followed job's last frame is sent again after so long without news
    buffer_frames: int = 64  # waiting for one socket; a post beyond them is refused with 429
    send_timeout_s: float = 10  # for one frame; who does not read for so long is cut off
    messages_at_once: int = 16  # of one socket in the handler; the rest waits in the network
    messages_together: int = 8  # of all sockets in the handler, so that requests come in between
    refused_pause_s: float = 1  # for which a message that was one too many keeps its place there
    sockets: int = 1_000  # at the same time
    sockets_per_client: int = 250  # of one address
    handshakes_per_client: int = 6_000  # a minute and at once, of one address, those refused too
    drain_s: float = 5  # for closing sockets and running handlers when the gateway stops
