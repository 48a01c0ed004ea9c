"""Lambda entry point of the HTTP API (API Gateway payload format 2.0)."""

from comfyq.bootstrap.lambdas import api_function
from comfyq.config import Settings

handler = api_function(Settings())  # once per execution environment, not per request
