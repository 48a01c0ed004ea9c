"""The function of the queue of submissions."""

from comfyq.bootstrap.lambdas.function import Function, blocking, observed, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.intake.handler import IntakeHandler


def intake_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
    handler = IntakeHandler(intake=services.intake, authenticator=services.authenticator)
    return observed(blocking(handler.handle), settings, services.ports, service="comfyq-intake")
