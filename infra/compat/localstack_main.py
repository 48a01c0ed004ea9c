"""LocalStack without its container: run by its own environment's Python, see launches.py.

Its container has Python 3.13, and two of its habits are newer than 3.11. Annotations say
``Lock | None``, which takes a class, and threading.Lock was a function: every service that needs a
program of its own (DynamoDB) would answer 500. And it takes uuid5 of bytes: no key could be made
in KMS, which an encrypted table needs.
"""

import hashlib
import runpy
import sys
import threading
import uuid
from _thread import LockType, allocate_lock


class Lock:
    def __new__(cls) -> LockType:  # type: ignore[misc] # what callers get is a real lock
        return allocate_lock()


def uuid5(namespace: uuid.UUID, name: str | bytes) -> uuid.UUID:
    text = name.encode() if isinstance(name, str) else name
    digest = hashlib.sha1(namespace.bytes + text, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


if __name__ == "__main__":
    if sys.version_info < (3, 13):
        threading.Lock = Lock
        uuid.uuid5 = uuid5
    runpy.run_module("localstack.runtime.main", run_name="__main__")
