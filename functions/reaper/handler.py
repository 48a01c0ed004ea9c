"""Lambda entry point of the reaper's schedule and of dead letters."""

from comfyq.cold_start import cold_start

with cold_start():
    from comfyq.bootstrap.lambdas.reaper import reaper_function
    from comfyq.config import read_settings

    handler = reaper_function(read_settings())
