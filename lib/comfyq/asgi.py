"""``uvicorn comfyq.asgi:app --workers 4``: the API and its sockets, without workers."""

from comfyq.bootstrap.ports import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.local.application import local_app
from comfyq.local.logging import configure_logging

settings = read_settings()
configure_logging(settings.log_level)
app = local_app(Services(settings, open_ports(settings)))
