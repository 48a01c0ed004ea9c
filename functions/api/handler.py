"""Lambda entry point of the HTTP API (API Gateway payload format 2.0)."""

from comfyq.cold_start import cold_start, models_built_on_use

with cold_start(), models_built_on_use():
    from comfyq.bootstrap.lambdas.api import api_function
    from comfyq.config import read_settings

    handler = api_function(read_settings())  # once per execution environment, not per request
