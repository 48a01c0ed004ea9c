"""Copies the models of a bucket to a folder, each once: a folder that outlives us stays warm.

usage: fetch_models.py s3://BUCKET/PREFIX/ FOLDER
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = ".part"


@dataclass(frozen=True)
class Model:
    key: str
    path: PurePosixPath  # below the prefix
    size: int  # bytes


def fetch(client: "S3Client", source: str, folder: Path) -> list[Model]:
    """Copy the missing files, and return them; a file of the right size is not copied again.

    Raises:
        ValueError: a key leads out of the folder.
    """
    bucket, prefix = urlsplit(source).netloc, urlsplit(source).path.lstrip("/")
    copied = []
    for model in _models(client, bucket, prefix):
        target = folder / model.path
        if target.exists() and target.stat().st_size == model.size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + PART)
        client.download_file(bucket, model.key, str(part))
        part.replace(target)  # whole or not at all
        copied.append(model)
    return copied


def _models(client: "S3Client", bucket: str, prefix: str) -> Iterator[Model]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for each in page.get("Contents", []):
            path = PurePosixPath(each["Key"].removeprefix(prefix))
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{each['Key']} leads out of the folder")
            if not each["Key"].endswith("/"):
                yield Model(each["Key"], path, each["Size"])


if __name__ == "__main__":
    import boto3

    for fetched in fetch(boto3.client("s3"), sys.argv[1], Path(sys.argv[2])):
        print(f"fetched {fetched.path} ({fetched.size / 1e9:.1f} GB)", flush=True)
