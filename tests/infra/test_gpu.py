"""The worker's image beside a GPU, as far as it can be checked without one."""

import os
import subprocess
import textwrap
from pathlib import Path
from uuid import uuid4

import pytest

from infra.checks.written import written
from infra.gpu.fetch_models import fetch
from tests.fixtures.emulator import Aws

ROOT = Path(__file__).parents[2]
WATCH = "/usr/local/bin/comfyq-spot-watch"
DEADLINE_S = 30

CURL = """
    #!/bin/bash
    # The metadata service: asks for a token first, has no notice the first two times.
    for last; do :; done
    case "$*" in
      *PUT*api/token) echo token-1 ;;
      *"X-aws-ec2-metadata-token: token-1"*spot/instance-action)
        echo asked >>"$FOLDER/asked"
        [ "$(wc -l <"$FOLDER/asked")" -ge 3 ] ;;
      *) exit 22 ;;
    esac
"""
DOCKER = """
    #!/bin/bash
    case "$*" in
      "ps -q --filter label=com.amazonaws.ecs.container-name=worker") printf 'c1\\nc2\\n' ;;
      *) echo "$*" >>"$FOLDER/killed" ;;
    esac
"""
SLEEP = """
    #!/bin/bash
    exit 0
"""


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = f"models-{uuid4().hex[:8]}"
    aws.s3.create_bucket(Bucket=name)
    aws.s3.put_object(Bucket=name, Key="models/vae/a.safetensors", Body=b"weights")
    aws.s3.put_object(Bucket=name, Key="models/loras/", Body=b"")
    aws.s3.put_object(Bucket=name, Key="other/b.safetensors", Body=b"not ours")
    return name


def test_models_are_fetched_once(aws: Aws, bucket: str, tmp_path: Path) -> None:
    source = f"s3://{bucket}/models/"
    first = fetch(aws.s3, source, tmp_path)
    assert [str(model.path) for model in first] == ["vae/a.safetensors"]
    assert (tmp_path / "vae/a.safetensors").read_bytes() == b"weights"
    assert fetch(aws.s3, source, tmp_path) == []


def test_a_model_that_was_cut_off_is_fetched_again(aws: Aws, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/a.safetensors").write_bytes(b"wei")
    assert len(fetch(aws.s3, f"s3://{bucket}/models/", tmp_path)) == 1
    assert (tmp_path / "vae/a.safetensors").read_bytes() == b"weights"
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_a_key_does_not_lead_out_of_the_folder(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws.s3.put_object(Bucket=bucket, Key="bad/../../evil", Body=b"x")
    with pytest.raises(ValueError, match="leads out"):
        fetch(aws.s3, f"s3://{bucket}/bad/", tmp_path / "models")
    assert not (tmp_path / "evil").exists()


WORKER = """
    #!/bin/sh
    # The worker's Python: notes its user, starts ComfyUI as it is told, ends what it has started.
    for last; do command=$last; done
    id -u >"$FOLDER/worker"
    sh -c "$command" &
    comfyui=$!
    until [ -s "$FOLDER/comfyui" ]; do sleep 0.05; done
    kill -9 "$comfyui"
"""
COMFYUI = """
    #!/bin/sh
    # ComfyUI's Python, with a custom node that looks for the worker's credentials.
    cat "/proc/$PPID/environ" >/dev/null 2>&1 && echo "read its environment" >>"$FOLDER/intruded"
    kill -0 "$PPID" 2>/dev/null && echo "may signal it" >>"$FOLDER/intruded"
    cat "$FOLDER/data/secret" >/dev/null 2>&1 && echo "read its data" >>"$FOLDER/intruded"
    grep CapEff /proc/self/status >"$FOLDER/capabilities"
    id -u >"$FOLDER/comfyui"
    exec sleep 60
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to other users")
def test_custom_nodes_cannot_reach_the_workers_credentials(tmp_path: Path) -> None:
    """The image's entry point, with scripts in the place of both Pythons."""
    usual = os.umask(0o022)  # tests of servers leave a private one
    for folder in tmp_path.parents[:-2]:  # pytest's are its user's alone
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    scripts = {"comfyq/venv/bin/python": WORKER, "comfyui/bin/python": COMFYUI}
    for name, script in scripts.items():
        path = tmp_path / "opt" / name
        path.parent.mkdir(parents=True)
        path.write_text(textwrap.dedent(script).lstrip())
        path.chmod(0o755)
    entrypoint = (ROOT / "infra/gpu/entrypoint.sh").read_text(encoding="utf-8")
    (tmp_path / "entrypoint.sh").write_text(entrypoint.replace("/opt/", f"{tmp_path}/opt/"))
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "secret").write_text("key")
    os.chown(data, 1000, 1000)
    os.umask(usual)
    environment = {"PATH": "/usr/bin:/bin", "FOLDER": str(tmp_path), "AWS_SESSION_TOKEN": "t"}
    command = ["sh", str(tmp_path / "entrypoint.sh")]
    subprocess.run(command, check=True, timeout=DEADLINE_S, env=environment)
    users = [(tmp_path / name).read_text().strip() for name in ("worker", "comfyui")]
    assert users == ["1000", "1001"]
    assert (tmp_path / "capabilities").read_text().split()[1] == "0000000000000000"
    assert not (tmp_path / "intruded").exists()


def user_data() -> str:
    template = written((ROOT / "template.yaml").read_text(encoding="utf-8"))
    data = template.get("NodeTemplate").find("LaunchTemplateData.UserData")
    script: str = data["Fn::Base64"]["Fn::Sub"]
    return script.replace("${Cluster}", "cluster-1")


def test_the_instances_script_is_shell() -> None:
    subprocess.run(["bash", "-n"], input=user_data(), text=True, check=True)
    assert "${" not in user_data()


def test_a_spot_notice_drains_the_workers(tmp_path: Path) -> None:
    """The host's own watch, against a metadata service and a Docker that note what is asked."""
    _, _, rest = user_data().partition(f"cat >{WATCH} <<'END'\n")
    watch, _, _ = rest.partition("END\n")
    for name, fake in {"curl": CURL, "docker": DOCKER, "sleep": SLEEP, "watch": watch}.items():
        path = tmp_path / name
        path.write_text(textwrap.dedent(fake).lstrip())
        path.chmod(0o755)
    subprocess.run(
        [tmp_path / "watch"],
        check=True,
        timeout=DEADLINE_S,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "FOLDER": str(tmp_path)},
    )
    assert len((tmp_path / "asked").read_text().splitlines()) == 3
    assert (tmp_path / "killed").read_text() == "kill --signal TERM c1 c2\n"
