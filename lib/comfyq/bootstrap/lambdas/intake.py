"""The function of the queue of submissions."""

from comfyq.bootstrap.lambdas.function import Function, blocking, measured, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.intake.handler import IntakeHandler


def intake_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
    handler = IntakeHandler(intake=services.intake, authenticator=services.authenticator)
    return measured(blocking(handler.handle), settings, services.ports)
