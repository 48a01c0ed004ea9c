"""Pictures, sizes and sound of the simulator."""

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyui_simulator.catalogue import load_catalogue
from comfyui_simulator.nodes import media, pictures
from comfyui_simulator.nodes.values import Value, combined
from comfyui_simulator.running.failures import NodeFailure

CATALOGUE = load_catalogue()


def value(**fields: Any) -> Value:
    return replace(Value(digest="d", width=64, height=48), **fields)


def node(class_type: str, **inputs: Any) -> Value:
    return combined(CATALOGUE[class_type], inputs)


def sampled(**changes: Any) -> Value:
    """Return a KSampler's value for settings of which one may be changed."""
    settings = {"text": "a cube", "seed": 1, "steps": 4, "cfg": 7.0, "lora": 1.0, "width": 64}
    settings |= changes
    model = node("CheckpointLoaderSimple", ckpt_name="shared_sd15.ckpt")
    model = node("LoraLoaderModelOnly", model=model, lora_name="x", strength_model=settings["lora"])
    text = node("CLIPTextEncode", text=settings["text"], clip=model)
    latent = node("EmptyLatentImage", width=settings["width"], height=64, batch_size=1)
    return node(
        "KSampler",
        seed=settings["seed"],
        steps=settings["steps"],
        cfg=settings["cfg"],
        model=model,
        positive=text,
        latent_image=latent,
    )


def pixels(of: Value, index: int = 0) -> bytes:
    return pictures.paint(of, index).tobytes()


def test_the_same_inputs_give_the_same_pixels() -> None:
    assert pixels(sampled()) == pixels(sampled())


@pytest.mark.parametrize(
    "change",
    [{"text": "a ball"}, {"seed": 2}, {"steps": 5}, {"cfg": 7.5}, {"lora": 0.5}, {"width": 128}],
)
def test_any_difference_gives_other_pixels(change: dict[str, Any]) -> None:
    assert pixels(sampled(**change)) != pixels(sampled())


def test_the_pictures_of_a_batch_differ() -> None:
    assert pixels(value(count=2), 0) != pixels(value(count=2), 1)


def test_a_picture_has_the_size_of_its_value() -> None:
    assert pictures.paint(value(width=96, height=32)).size == (96, 32)


def test_a_picture_is_marked() -> None:
    marked = pictures.paint(value(width=512, height=512))
    colors = {color for _, color in marked.getcolors(maxcolors=512 * 512) or []}
    # white letters with a black edge, on clouds that hardly ever have either
    assert {(255, 255, 255), (0, 0, 0)} <= colors


def test_a_picture_of_one_color_is_just_that() -> None:
    plain = pictures.paint(value(color=0x0102FF))
    assert plain.getcolors() == [(64 * 48, (1, 2, 255))]


def test_a_loaded_picture_stays_what_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (4, 4), "red").save(path)
    scaled = pictures.paint(value(source=path, width=8, height=2))
    assert scaled.getcolors() == [(16, (255, 0, 0))]


def test_a_png_carries_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    pictures.save_png(pictures.paint(value()), path, {"prompt": {"1": {"a": "ü"}}, "workflow": []})
    with Image.open(path) as saved:
        assert json.loads(saved.info["prompt"]) == {"1": {"a": "ü"}}
        assert json.loads(saved.info["workflow"]) == []


def test_a_preview_is_a_jpeg_of_the_longer_side(tmp_path: Path) -> None:
    path = tmp_path / "preview.jpg"
    path.write_bytes(pictures.paint_preview(value(), step=1, longer_side_px=512))
    with Image.open(path) as preview:
        assert preview.format == "JPEG"
        assert preview.size == (512, 384)


def test_an_animation_has_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "x.webp"
    frames = [pictures.paint(value(count=3), index) for index in range(3)]
    pictures.save_animation(frames, path, fps=6.0, format_="WEBP")
    with Image.open(path) as animation:
        assert getattr(animation, "n_frames", 1) == 3


def test_the_latent_of_a_sampler_decides_not_the_picture_that_guides_it() -> None:
    guide = value(width=999, height=999)
    latent = node("EmptyLatentImage", width=64, height=32, batch_size=3)
    result = node("KSampler", steps=7, positive=guide, latent_image=latent)
    assert (result.width, result.height, result.count, result.steps) == (64, 32, 3, 7)


def test_the_steps_of_a_schedule_reach_the_sampler() -> None:
    sigmas = node("BasicScheduler", scheduler="simple", steps=9, denoise=1.0)
    latent = node("EmptySD3LatentImage", width=64, height=64, batch_size=1)
    assert node("SamplerCustomAdvanced", sigmas=sigmas, latent_image=latent).steps == 9


def test_a_video_has_as_many_frames_as_its_length() -> None:
    result = node("EmptyHunyuanLatentVideo", width=64, height=64, length=33, batch_size=1)
    assert result.count == 33


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(32, 0, (32, 24)), (0, 24, (32, 24)), (10, 20, (10, 20))]
)
def test_scaling_to_nothing_keeps_the_proportions(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    result = node("ImageScale", image=value(), width=width, height=height)
    assert (result.width, result.height) == expected


def test_where_it_is_saved_does_not_reach_the_pixels() -> None:
    one = node("SaveImage", images=value(), filename_prefix="a")
    assert node("SaveImage", images=value(), filename_prefix="b").digest == one.digest


def test_sound_is_a_flac_file_whose_checksums_hold() -> None:
    content = media.flac_tone(1.5, "abcd")
    assert content.startswith(b"fLaC")
    (packed,) = struct.unpack(">Q", content[18:26])
    assert packed >> 44 == media.SAMPLE_RATE_HZ
    assert packed & 0xFFFFFFFFF == int(1.5 * media.SAMPLE_RATE_HZ)
    first_frame = content[42 : 42 + 8 + 1 + media.BLOCK_SAMPLES * 2 + 2]
    assert first_frame.startswith(b"\xff\xf8")
    assert crc_by_bits(first_frame[:8], 8, 0x07) == 0
    assert crc_by_bits(first_frame, 16, 0x8005) == 0


def crc_by_bits(data: bytes, bits: int, polynomial: int) -> int:
    """The checksum as RFC 9639 defines it, bit by bit; 0 over data that ends in its own."""
    register = 0
    for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
        carry = register >> (bits - 1) ^ bit
        register = (register << 1 & (1 << bits) - 1) ^ (polynomial if carry else 0)
    return register


@pytest.mark.parametrize(
    ("content", "at", "sign"),
    [(media.webm_placeholder(), 0, b"\x1aE\xdf\xa3"), (media.mp4_placeholder(), 4, b"ftyp")],
)
def test_a_video_is_recognised_by_its_first_bytes(content: bytes, at: int, sign: bytes) -> None:
    assert content[at : at + len(sign)] == sign
    assert b"SIMULATED" in content


def test_a_picture_that_no_memory_holds_fails_as_on_a_gpu() -> None:
    with pytest.raises(NodeFailure, match="20000 x 20000 pixels") as raised:
        pictures.paint(value(width=20_000, height=20_000, color=0))
    assert raised.value.exception_type == "torch.OutOfMemoryError"
