"""Lambda entry point of the reaper's schedule."""

from comfyq.bootstrap.lambdas import reaper_function
from comfyq.config import Settings

handler = reaper_function(Settings())
