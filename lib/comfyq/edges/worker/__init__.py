"""The GPU-side consumer: receives doorbells, keeps ComfyUI busy, tells that it lives."""
