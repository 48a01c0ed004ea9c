"""Every metric of a process, and what it counts; the deployment's own, which are read from its
table, are in ``services.operations.backlog``."""

from collections.abc import Sequence

from comfyq.telemetry.metrics import Busy, Counter, Gauge, Histogram, Metric

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)

HTTP_REQUESTS = Counter(
    "comfyq_http_requests_total",
    "Answered requests, by the route's template.",
    "method",
    "route",
    "status",
)
HTTP_SECONDS = Histogram(
    "comfyq_http_request_seconds",
    "Seconds from a request's head to the end of its answer.",
    "method",
    "route",
    bounds=QUICK,
)
SOCKETS = Gauge("comfyq_sockets", "WebSockets that are open at this process.")
STREAMS = Gauge(
    "comfyq_streams",
    "Answers that this process holds open: streams, and requests that wait for jobs.",
)

ACCEPTED = Counter("comfyq_jobs_accepted_total", "Jobs that were stored.", "workflow")
ENDED = Counter("comfyq_jobs_ended_total", "Jobs that ended.", "workflow", "status")
ATTEMPTS = Counter("comfyq_attempts_total", "Ended attempts at jobs.", "workflow", "verdict")
FAILURES = Counter(
    "comfyq_failures_total", "Counted failures of jobs, by the code of the error.", "code"
)
WAIT_SECONDS = Histogram(
    "comfyq_wait_seconds",
    "Seconds from a job's submission to its first start.",
    "workflow",
    bounds=SLOW,
)
RUN_SECONDS = Histogram(
    "comfyq_run_seconds", "Seconds that ComfyUI ran a prompt.", "workflow", bounds=SLOW
)
UPLOAD_SECONDS = Histogram(
    "comfyq_upload_seconds",
    "Seconds from a prompt's end until its results were stored.",
    "workflow",
    bounds=SLOW,
)

WORKERS = Gauge("comfyq_workers", "Workers of this process, each with a ComfyUI.")
RUNNING = Gauge("comfyq_jobs_running", "Jobs whose prompt this process's ComfyUIs run.")
BUSY_SECONDS = Busy(
    "comfyq_gpu_busy_seconds_total",
    "Seconds in which ComfyUI ran a prompt, summed over the workers of this process.",
)

TABLE_CALLS = Counter("comfyq_table_calls_total", "Calls of the table.", "operation")
TABLE_SECONDS = Counter("comfyq_table_seconds_total", "Seconds in them.", "operation")
TABLE_ERRORS = Counter(
    "comfyq_table_errors_total", "Those that the table did not answer.", "operation"
)
QUEUE_CALLS = Counter("comfyq_queue_calls_total", "Calls of the queue.", "operation")
QUEUE_SECONDS = Counter(
    "comfyq_queue_seconds_total",
    "Seconds in them; those of `receive` are mostly waited.",
    "operation",
)
QUEUE_ERRORS = Counter(
    "comfyq_queue_errors_total", "Those that the queue did not answer.", "operation"
)

NUMBERS: Sequence[Metric] = (
    HTTP_REQUESTS,
    HTTP_SECONDS,
    SOCKETS,
    STREAMS,
    ACCEPTED,
    ENDED,
    ATTEMPTS,
    FAILURES,
    WAIT_SECONDS,
    RUN_SECONDS,
    UPLOAD_SECONDS,
    WORKERS,
    RUNNING,
    BUSY_SECONDS,
    TABLE_CALLS,
    TABLE_SECONDS,
    TABLE_ERRORS,
    QUEUE_CALLS,
    QUEUE_SECONDS,
    QUEUE_ERRORS,
)
