"""All settings, read from the environment once. No other package reads it."""

from comfyq.config.api import ApiSettings, Auth, Facade
from comfyq.config.environment import (
    InvalidSettings,
    foreign_environment,
    read_settings,
    resources_of,
    unknown_settings,
    variables_of,
)
from comfyq.config.groups import (
    LOOK_ALIKE_ACCESS,
    PACKAGE,
    PROJECT,
    AwsEndpoints,
    AwsSettings,
    Backend,
    ComfyUISettings,
    LimitSettings,
    LocalSettings,
    MinioSettings,
    Settings,
    TenantSettings,
)
from comfyq.config.metrics import MetricsSettings
from comfyq.config.models import ModelSettings
from comfyq.config.oidc import OidcSettings
from comfyq.config.traces import TracesSettings
from comfyq.config.webhooks import WebhookSettings
from comfyq.config.worker import WorkerSettings

__all__ = [
    "LOOK_ALIKE_ACCESS",
    "PACKAGE",
    "PROJECT",
    "ApiSettings",
    "Auth",
    "AwsEndpoints",
    "AwsSettings",
    "Backend",
    "ComfyUISettings",
    "Facade",
    "InvalidSettings",
    "LimitSettings",
    "LocalSettings",
    "MetricsSettings",
    "MinioSettings",
    "ModelSettings",
    "OidcSettings",
    "Settings",
    "TenantSettings",
    "TracesSettings",
    "WebhookSettings",
    "WorkerSettings",
    "foreign_environment",
    "read_settings",
    "resources_of",
    "unknown_settings",
    "variables_of",
]
