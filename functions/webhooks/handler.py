"""Lambda entry point of the queue that rings for webhooks."""

from comfyq.cold_start import cold_start

with cold_start():
    from comfyq.bootstrap.lambdas.webhooks import webhooks_function
    from comfyq.config import read_settings

    handler = webhooks_function(read_settings())
