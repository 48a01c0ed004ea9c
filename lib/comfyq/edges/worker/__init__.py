"""The GPU-side consumer: receives doorbells, keeps ComfyUI busy, sends heartbeats."""
