"""Lambda entry point of the HTTP API (API Gateway payload format 2.0)."""

from comfyq.bootstrap.lambdas.cold_start import cold_start, import_fastapi

with cold_start():
    import_fastapi()
    from comfyq.bootstrap.lambdas.api import api_function
    from comfyq.config import read_settings

    handler = api_function(read_settings())  # once per execution environment, not per request
