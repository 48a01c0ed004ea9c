"""Ports that fail on demand: for tests of what survives, never for anything else.

The environment of a process that ``tests.faulty_process`` starts names its faults:
``COMFYQ_TEST_FAULTS`` is a JSON list of rules such as

    {"port": "table", "call": "write", "about": "\\"status\\":\\"succeeded\\"",
     "when": "after", "do": "kill"}

| field | means |
|---|---|
| ``port``, ``call`` | ``table``: get, query, write, count; ``queue``: send, receive, ack, hide; \
``assets``: put, read, delete, link; ``notifier``: post |
| ``about`` | only calls that are about this text count; default: all. A call is about its \
arguments: the items and keys of a write as compact JSON with sorted names, a doorbell's job id, \
an asset's key, a frame |
| ``at``, ``times`` | it strikes from the ``at``-th such call on (1), that often (1; 0: for ever) |
| ``every`` | of these only each second (2), third (3) … one |
| ``when`` | ``before`` or ``after`` the call; a call that itself fails has no after |
| ``do`` | ``kill``: SIGKILL to the process; ``raise``: the port's Unavailable; ``crash``: an \
error that no port raises; ``delay``: wait ``seconds``; ``lose``: do not make the call, but say \
that it was made; ``repeat``: make it twice; ``late``: say so, and make it ``seconds`` \
later, behind others that come meanwhile |
| ``seconds`` | of a ``delay``, or of what is ``late`` |

``raise`` after a call is an answer that was lost. ``lose``, ``repeat`` and
``late`` are for calls that answer nothing (writes, sends, acks, posts), whatever ``when`` says.
"""
