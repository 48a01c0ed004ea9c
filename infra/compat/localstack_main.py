"""LocalStack without its container: run by its own environment's Python, see launches.py.

Its annotations say ``Lock | None``, which takes a class; before Python 3.13 threading.Lock is a
function, and every service that needs a program of its own (DynamoDB) would answer 500.
"""

import runpy
import sys
import threading
from _thread import LockType, allocate_lock


class Lock:
    def __new__(cls) -> LockType:  # type: ignore[misc] # what callers get is a real lock
        return allocate_lock()


if __name__ == "__main__":
    if sys.version_info < (3, 13):
        threading.Lock = Lock
    runpy.run_module("localstack.runtime.main", run_name="__main__")
