"""What a worker tells of the jobs that it runs."""

from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker_ports import WorkerPorts
from comfyq.edges.websocket.rendering import render_preview
from comfyq.services.worker.reporting.previews import Previews
from comfyq.services.worker.reporting.reporter import Reporting
from comfyq.services.worker.reporting.run_times import RunTimes


def reporting_of(services: Services, run_times: RunTimes) -> Reporting:
    return Reporting(
        announcer=services.announcer,
        followers=services.job_followers,
        run_times=run_times,
        timing=services.settings.timing,
    )


def previews_of(services: Services, ports: WorkerPorts) -> Previews:
    return Previews(
        engine=ports.comfyui,
        scaler=ports.previews,
        followers=services.job_followers,
        render=render_preview,
        period_s=services.settings.timing.preview_s,
    )
