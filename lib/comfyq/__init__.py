"""comfyq: a serverless front door for ComfyUI GPUs."""

__version__ = "0.2.0"
