"""What a manifest may say of where a model comes from, and the words for what it may not."""

from collections.abc import Callable

import pytest

from comfyq.domain.models.source import (
    CivitaiSource,
    HuggingFaceSource,
    S3Source,
    UrlSource,
    model_path,
    read_source,
    shown,
)
from comfyq.domain.models.tokens import tokens_by_host
from tests.cells import Cells

REFUSED = {
    "hf:owner/repo/file.safetensors": "@main",
    "hf:repo/file.safetensors@main": "hf:owner/repo/path@revision",
    "hf:owner/repo@main": "hf:owner/repo/path@revision",
    "hf:owner/repo/../x@main": "without `.` and `..`",
    "hf:owner/repo//x@main": "without `.` and `..`",
    "hf:owner/repo/x@": "no branch, tag or commit",
    "hf:owner/repo/x@a..b": "no branch, tag or commit",
    "hf:owner/repo/x@main?token=1": "no branch, tag or commit",
    "hf:owner /repo/x@main": "hf:owner/repo/path@revision",
    "civitai:": "modelVersionId=",
    "civitai:0": "modelVersionId=",
    "civitai:12/34": "modelVersionId=",
    "s3:bucket/key": "s3://bucket/key",
    "s3://bucket": "s3://bucket/key",
    "s3://bucket/folder/": "s3://bucket/key",
    "s3://Bucket/key": "s3://bucket/key",
    "https://": "without a host",
    "https://host:port/x": "no valid URL",
    "https://user:word@host/x": "COMFYQ_MODEL_TOKENS",
    "https://host/x?token=abc": "COMFYQ_MODEL_TOKENS",
    "https://host/x?a=b&api_key=": "COMFYQ_MODEL_TOKENS",
    "https://host/x?X-Amz-Signature=abc": "COMFYQ_MODEL_TOKENS",
    "ftp://host/x": "no source that is known",
    "HF:owner/repo/x@main": "no source that is known",
    "": "no source that is known",
    " hf:owner/repo/x@main": "spaces around it",
    "https://host/\x1b[2J": "cannot be shown",
}


def refusal(read: Callable[[str], object], text: str) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        read(text)
    return str(refused.value)


def test_each_source_is_read_and_written_as_it_was() -> None:
    file = HuggingFaceSource("owner/repo.v2", "a/b@c/d.safetensors", "refs/pr/1")
    texts = {
        "hf:owner/repo.v2/a/b@c/d.safetensors@refs/pr/1": file,
        "civitai:2514310": CivitaiSource("2514310"),
        "s3://our-models/flux/ae.safetensors": S3Source("our-models", "flux/ae.safetensors"),
        "https://host.example/x?download=true": UrlSource("https://host.example/x?download=true"),
    }
    for text, source in texts.items():
        assert read_source(text) == source
        assert str(source) == text
    assert shown(read_source("https://host/x?download=true")) == "https://host/x"


def test_what_is_no_source_is_refused_with_what_would_be_one() -> None:
    with Cells() as cells:
        for text, told in REFUSED.items():
            with cells.cell(repr(text)):
                refused = refusal(read_source, text)
                assert told in refused
                assert "abc" not in refused


def test_a_file_stays_below_the_folder_of_models() -> None:
    assert model_path("SDXL/a b.safetensors") == "SDXL/a b.safetensors"
    with Cells() as cells:
        for text in ("../x", "/x", "a/./b", "a//b", "", "a\\..\\b", "c:x", "by-sha256/x", "x\x00"):
            with cells.cell(repr(text)):
                assert refusal(model_path, text)


def test_tokens_are_by_host_and_no_message_has_one() -> None:
    read = tokens_by_host(" Hub.Example=hf_abc , 127.0.0.1:80=x=y ")
    assert read == {"hub.example": "hf_abc", "127.0.0.1:80": "x=y"}
    with Cells() as cells:
        for text in ("hush", "https://h=hush", "h/x=hush", "h=", "h=hush hush", "h=hush,h=hush2"):
            with cells.cell(text):
                assert "hush" not in refusal(tokens_by_host, text)
