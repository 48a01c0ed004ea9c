"""Lambda entry point of the WebSocket API: $connect, $disconnect, subscribe, $default."""

from comfyq.cold_start import cold_start

with cold_start():
    from comfyq.bootstrap.lambdas.websocket import websocket_function
    from comfyq.config import read_settings

    handler = websocket_function(read_settings())
