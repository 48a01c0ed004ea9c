"""The GPU-side consumer: ``python -m functions.worker.main``, the same as ``comfyq worker``."""

from comfyq.local.worker import main

if __name__ == "__main__":
    main()
