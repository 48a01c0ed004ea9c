"""Lambda entry point of the WebSocket API: $connect, $disconnect, subscribe, $default."""

from comfyq.bootstrap.lambdas import websocket_function
from comfyq.config import Settings

handler = websocket_function(Settings())
