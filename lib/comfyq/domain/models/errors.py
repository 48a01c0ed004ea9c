"""Errors of model files, as one tree; every message is for a person and has no secrets.

ModelError
  + ModelRefused        what the origin or the disk has is not what was asked for
    - ModelUnauthorized the origin wants credentials, or others
  + ModelUnavailable    the origin cannot be asked now; ``passing``: trying again may help
    - ModelPartRefused  it does not go on where a part ends; the whole file may be had
  + NoRoomForModel      the disk is full, or would be
  + BadModelLock        a ``models.lock`` that cannot be used
"""


class ModelError(Exception):
    """Base of what models can fail with."""


class ModelRefused(ModelError):
    pass


class ModelUnauthorized(ModelRefused):
    pass


class ModelUnavailable(ModelError):
    def __init__(
        self, message: str, *, passing: bool = True, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after_s = retry_after_s  # when the origin wants to be asked again


class ModelPartRefused(ModelUnavailable):
    pass


class NoRoomForModel(ModelError):
    pass


class BadModelLock(ModelError):
    pass
