"""Settings from the environment: names, types, and the message about a wrong one."""

from pathlib import Path

import pytest

from comfyq.config import (
    Backend,
    ComfyUISettings,
    Facade,
    InvalidSettings,
    MinioSettings,
    Settings,
    read_settings,
    resources_of,
    unknown_settings,
    variables_of,
)
from comfyq.config.reference import Setting, reference
from tests.cells import Cells

# Users' configurations name these: none may go or change.
NAMES = """
COMFYQ_BACKEND COMFYQ_DATA_DIR COMFYQ_OUTPUTS_DIR COMFYQ_WORKFLOWS_DIR COMFYQ_TEMPLATE
COMFYQ_LOG_LEVEL PUBLIC_URL
COMFYQ_WS_URL COMFYQ_LINK_SECRET COMFYQ_LINK_EXPIRES_S COMFYQ_PARTNER_SECRET COMFYQ_AUTH
COMFYQ_CORS_ORIGINS
COMFYQ_ALLOWED_HOSTS COMFYQ_SCALE_TO_ZERO COMFYQ_FACADES
COMFYQ_OIDC_ISSUER COMFYQ_OIDC_AUDIENCE COMFYQ_OIDC_CLIENTS COMFYQ_OIDC_ALGORITHMS
COMFYQ_OIDC_SKEW_S COMFYQ_OIDC_TENANT_CLAIM COMFYQ_OIDC_DEFAULT_TENANT COMFYQ_OIDC_SCOPE_CLAIM
COMFYQ_OIDC_SCOPE_MAP COMFYQ_OIDC_DEFAULT_SCOPES COMFYQ_OIDC_PAGE_CLIENT COMFYQ_OIDC_PAGE_SCOPE
COMFYQ_OIDC_PAGE_ORIGINS
COMFYQ_REQUESTS_PER_MINUTE COMFYQ_KEY_REQUESTS_PER_MINUTE COMFYQ_JOBS_PER_DAY
COMFYQ_WAITING_JOBS COMFYQ_FAIR_QUEUE COMFYQ_SUBMISSIONS_TENANT
COMFYQ_RETENTION_S COMFYQ_UNSUITED_TIMEOUT_S COMFYQ_INPUT_MAX_BYTES
COMFYQ_UPLOAD_MAX_BYTES COMFYQ_UPLOADS_BYTES COMFYQ_OUTPUT_BYTES
COMFYQ_INPUT_MAX_FILES COMFYQ_INPUT_MAX_TOTAL_BYTES COMFYQ_INPUT_MAX_S COMFYQ_INPUT_ALLOW
COMFYQ_RUNNING_JOBS COMFYQ_NODES COMFYQ_NODES_DENIED
COMFYQ_WEBHOOK_ALLOW COMFYQ_WEBHOOKS_QUEUE_URL
COMFYQ_REAP_PERIOD_S COMFYQ_CONNECTIONS
COMFYQ_CONNECTIONS_PER_CLIENT COMFYQ_REQUESTS_AT_ONCE COMFYQ_SOCKETS COMFYQ_SOCKETS_PER_CLIENT
AWS_ENDPOINT_URL AWS_ENDPOINT_URL_DYNAMODB AWS_ENDPOINT_URL_SQS AWS_ENDPOINT_URL_S3
LOCALSTACK_HOST COMFYQ_TABLE COMFYQ_QUEUE_URL COMFYQ_DEAD_QUEUE_URL COMFYQ_SUBMISSIONS_QUEUE_URL
COMFYQ_SUBMISSIONS_DEAD_QUEUE_URL COMFYQ_BUCKET MINIO_ENDPOINT MINIO_BUCKET MINIO_ACCESS_KEY
MINIO_SECRET_KEY MINIO_SECURE COMFYUI_URL COMFYUI_DIR COMFYUI_HOST
COMFYQ_MODELS_DIR COMFYQ_MODEL_FETCH COMFYQ_MODEL_TOKENS COMFYQ_MODEL_ALLOW
COMFYQ_MODEL_MAX_BYTES COMFYQ_MODEL_STORE_MAX_BYTES
COMFYQ_MODEL_BYTES_PER_S COMFYQ_MODEL_PICKLES COMFYQ_MODEL_HUB_HF COMFYQ_MODEL_HUB_CIVITAI
ECS_AGENT_URI
COMFYQ_WORKER_ID COMFYQ_DEPTH COMFYQ_PREPARING COMFYQ_AFFINITY
COMFYQ_AFFINITY_MAX_WAIT_S COMFYQ_DRAIN_S COMFYQ_BEAT_S COMFYQ_LIVE_S COMFYQ_WAIT_S
COMFYQ_VISIBILITY_S COMFYQ_SPOOL_BYTES COMFYQ_MIN_FREE_BYTES
COMFYQ_SILENT_S COMFYQ_UNLOAD_IDLE_S COMFYQ_ENVIRONMENT_FILE COMFYQ_PREVIEW_METHOD
COMFYQ_LEASE_S COMFYQ_RENEW_S COMFYQ_WATCH_S COMFYQ_STORE_PROGRESS_S
COMFYQ_PUSH_PROGRESS_S COMFYQ_RETRY_S COMFYQ_UPLOAD_GIVE_UP_S COMFYQ_RESEND_S COMFYQ_STOP_S
COMFYQ_UNAVAILABLE_S COMFYQ_METRICS_PORT COMFYQ_METRICS_HOST COMFYQ_METRICS_EMF
AWS_LAMBDA_FUNCTION_NAME OTEL_TRACES_EXPORTER OTEL_EXPORTER_OTLP_ENDPOINT
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_SDK_DISABLED
"""
SETTINGS = list(reference())
OF_PYDANTIC = ("Input should", "should be", "Value error", "Field required", "pattern")


def test_the_names_of_all_settings() -> None:
    assert [each.name for each in SETTINGS] == NAMES.split()


def test_each_setting_is_described_by_a_sentence() -> None:
    with Cells() as cells:
        for setting in SETTINGS:
            with cells.cell(setting.name):
                assert setting.description.endswith(".")
                assert len(setting.description.split()) > 2


def test_the_reference_tells_type_default_and_group() -> None:
    settings = {each.name: each for each in SETTINGS}
    backend, lease = settings["COMFYQ_BACKEND"], settings["COMFYQ_LEASE_S"]
    assert (backend.type, backend.default, backend.group) == ("Backend", "embedded", "general")
    assert (lease.type, lease.default, lease.group) == ("float", "120", "timing")
    assert settings["PUBLIC_URL"].type == "str"
    assert settings["COMFYQ_DEPTH"].type == "int"
    assert settings["COMFYQ_AFFINITY"].default == "true"
    assert settings["MINIO_SECRET_KEY"].default == ""
    assert settings["COMFYQ_WORKFLOWS_DIR"].default == "workflows"


def test_without_variables_every_default_holds() -> None:
    assert read_settings({}) == Settings()


def test_each_variable_is_read() -> None:
    with Cells() as cells:
        for setting in SETTINGS:
            with cells.cell(setting.name):
                _assert_read(setting)


def _assert_read(setting: Setting) -> None:
    switch = "false" if setting.default == "true" else "true"
    fitting = {
        "COMFYQ_LOG_LEVEL": "DEBUG",
        "COMFYQ_LEASE_S": "121.0",
        "COMFYQ_PREVIEW_METHOD": "none",
        "COMFYQ_LINK_SECRET": "s" * 32,
        "COMFYQ_PARTNER_SECRET": "s" * 32,
        "COMFYQ_MODEL_TOKENS": "hub.example=token",
        "COMFYQ_MODEL_HUB_HF": "https://hub.example",
        "COMFYQ_MODEL_HUB_CIVITAI": "https://hub.example",
        "COMFYQ_OIDC_ISSUER": "https://issuer.example",
        "COMFYQ_OIDC_ALGORITHMS": "ES256",
        "COMFYQ_OIDC_SCOPE_MAP": "staff=read",
        "COMFYQ_OIDC_DEFAULT_SCOPES": "read",
        "COMFYQ_FACADES": "openai",
        "COMFYQ_OIDC_PAGE_SCOPE": "openid email",
        "COMFYQ_OIDC_PAGE_ORIGINS": "https://tokens.example",
    }
    values = {"Backend": "aws", "Auth": "none", "bool": switch, "int": "3", "float": "3.5"}
    value = fitting.get(setting.name) or values.get(setting.type, "x")
    changed = read_settings({setting.name: value})
    assert changed != Settings()
    assert variables_of(changed)[setting.name] == value


def test_text_becomes_what_the_setting_is() -> None:
    settings = read_settings(
        {
            "COMFYQ_BACKEND": "aws",
            "COMFYQ_DATA_DIR": "/data",
            "COMFYQ_LEASE_S": "7",
            "COMFYQ_RENEW_S": "2",
            "MINIO_SECRET_KEY": "hidden",
            "MINIO_SECURE": "1",
        }
    )
    assert settings.backend is Backend.AWS
    assert settings.data_dir == Path("/data")
    assert settings.timing.lease_s == 7
    assert settings.minio.secure
    assert "hidden" not in repr(settings)


def test_upper_case_is_not_needed_but_wins() -> None:
    assert read_settings({"comfyq_depth": "3"}).worker.depth == 3
    assert read_settings({"COMFYQ_DEPTH": "4", "comfyq_depth": "3"}).worker.depth == 4


def test_options_replace_variables_unless_they_were_not_given() -> None:
    environment = {"COMFYQ_DEPTH": "3", "COMFYQ_DRAIN_S": "9"}
    settings = read_settings(environment, COMFYQ_DEPTH=4, COMFYQ_DRAIN_S=None)
    assert (settings.worker.depth, settings.worker.drain_s) == (4, 9)


def test_every_wrong_variable_is_named_and_no_value_is_shown() -> None:
    wrong = {"COMFYQ_DEPTH": "9", "COMFYQ_LEASE_S": "secretive", "COMFYQ_BACKEND": "cloud"}
    with pytest.raises(InvalidSettings) as raised:
        read_settings(wrong)
    lines = sorted(str(raised.value).splitlines())
    assert [line.partition(":")[0] for line in lines] == sorted(wrong)
    assert lines == [
        "COMFYQ_BACKEND: the value is not one of embedded, emulator, aws",
        "COMFYQ_DEPTH: the value is not a whole number from 1 to 8",
        "COMFYQ_LEASE_S: the value is not a number over 0 and of at most 43200",
    ]


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [
        ("COMFYQ_REQUESTS_PER_MINUTE", "a whole number of at least 1"),
        ("COMFYQ_INPUT_MAX_S", "a number over 0"),
        ("COMFYQ_AFFINITY", "true or false"),
        ("COMFYQ_AUTH", "one of none, keys, oidc, keys,oidc"),
        (
            "COMFYQ_LOG_LEVEL",
            "one of debug, info, warn, warning, error, critical, fatal, notset",
        ),
    ],
)
def test_a_wrong_variable_says_what_is_allowed(variable: str, allowed: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        read_settings({variable: "-1 x"})
    assert str(raised.value) == f"{variable}: the value is not {allowed}"


def test_a_facade_that_is_none_is_refused_by_the_names_of_those_there_are() -> None:
    with pytest.raises(
        InvalidSettings, match=r"COMFYQ_FACADES: names what is none of a1111, openai, runpod"
    ):
        read_settings({"COMFYQ_FACADES": "openai, midjourney"})
    served = read_settings({"COMFYQ_FACADES": " openai ,"}).api.served_facades
    assert served == {Facade.OPENAI}


@pytest.mark.parametrize("value", ["-1", "", "x y"])
def test_no_setting_is_refused_in_words_of_pydantic(value: str) -> None:
    with Cells() as cells:
        for setting in SETTINGS:
            with cells.cell(setting.name):
                refusal = _refusal(setting, value)
                assert [words for words in OF_PYDANTIC if words in refusal] == []


def _refusal(setting: Setting, value: str) -> str:
    """Return what is said of a setting's value; nothing if it is taken."""
    try:
        read_settings({setting.name: value})
    except InvalidSettings as refused:
        return str(refused)
    return ""


def test_another_process_reads_the_same_from_what_is_exported() -> None:
    settings = read_settings(
        {
            "COMFYQ_QUEUE_URL": "http://q",
            "COMFYQ_FAIR_QUEUE": "true",
            "AWS_ENDPOINT_URL_S3": "http://s",
            "MINIO_SECRET_KEY": "hidden",
            "MINIO_SECURE": "true",
        }
    )
    assert read_settings(variables_of(settings)) == settings
    assert resources_of(settings) == {
        "AWS_ENDPOINT_URL_S3": "http://s",
        "COMFYQ_BUCKET": "comfyq",
        "COMFYQ_QUEUE_URL": "http://q",
        "COMFYQ_TABLE": "comfyq",
    }
    assert variables_of(settings.minio)["MINIO_SECRET_KEY"] == "hidden"
    assert "MINIO_ENDPOINT" not in variables_of(MinioSettings())


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (ComfyUISettings(), None),
        (ComfyUISettings(url="http://gpu:1/"), "http://gpu:1"),
        (ComfyUISettings(host="gpu"), "http://gpu:8188"),
        (ComfyUISettings(host="http://gpu:1/"), "http://gpu:1"),
        (ComfyUISettings(url="http://a", host="b"), "http://a"),
    ],
)
def test_the_url_of_comfyui(given: ComfyUISettings, url: str | None) -> None:
    assert given.base_url == url


def test_variables_that_look_like_settings_and_are_none() -> None:
    environment = {
        "COMFYQ_DATADIR": "x",
        "comfyq_log_levle": "x",
        "COMFYQ_GIRAFFE": "x",
        "COMFYQ_URL": "of the command line",
        "COMFYQ_DEPTH": "3",
        "COMFYUI_FLAGS": "not ours",
    }
    assert unknown_settings(environment) == {
        "COMFYQ_DATADIR": "COMFYQ_DATA_DIR",
        "COMFYQ_GIRAFFE": None,
        "comfyq_log_levle": "COMFYQ_LOG_LEVEL",
    }
