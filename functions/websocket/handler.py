"""Lambda entry point of the WebSocket API: $connect, $disconnect, subscribe, $default."""

from comfyq.bootstrap.lambdas import websocket_function
from comfyq.config import read_settings

handler = websocket_function(read_settings())
