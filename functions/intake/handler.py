"""Lambda entry point of the queue of submissions."""

from comfyq.bootstrap.lambdas import intake_function
from comfyq.config import Settings

handler = intake_function(Settings())
