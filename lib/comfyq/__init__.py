"""comfyq: a serverless front door for ComfyUI GPUs."""

__version__ = "0.1.0"
