"""Errors of custom nodes, as one tree; every message is for a person and has no secrets.

NodesError
  + NodesRefused      the repository has no such commit, or two workflows do not go together
  + NodesUnavailable  the repository's server cannot be asked now; trying again may help
  + BadNodesLock      a ``nodes.lock`` that cannot be used
"""


class NodesError(Exception):
    """Base of what custom nodes can fail with."""


class NodesRefused(NodesError):
    pass


class NodesUnavailable(NodesError):
    pass


class BadNodesLock(NodesError):
    pass
