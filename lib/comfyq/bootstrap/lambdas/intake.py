"""The function of the queue of submissions."""

from comfyq.bootstrap.lambdas.function import Function, blocking, services_of
from comfyq.config import Settings
from comfyq.edges.intake.handler import IntakeHandler


def intake_function(settings: Settings) -> Function:
    services = services_of(settings)
    handler = IntakeHandler(intake=services.intake, authenticator=services.authenticator)
    return blocking(handler.handle)
