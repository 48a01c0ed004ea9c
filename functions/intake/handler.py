"""Lambda entry point of the queue of submissions."""

from comfyq.cold_start import cold_start

with cold_start():
    from comfyq.bootstrap.lambdas.intake import intake_function
    from comfyq.config import read_settings

    handler = intake_function(read_settings())
