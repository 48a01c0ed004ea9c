"""``uvicorn comfyq.asgi:app --workers 4``: the API and its sockets, without workers."""

from comfyq.aio.logs import log
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.telemetry.traces import start_tracing
from comfyq.config import read_settings
from comfyq.local.application import local_app
from comfyq.local.private_files import keep_private

settings = read_settings()
log.configure(settings.log_level)
log.prepare()
keep_private(settings.data_dir)
start_tracing(settings.traces, service="comfyq")
app = local_app(Services(settings, open_ports(settings)), heeds_signals=True)
