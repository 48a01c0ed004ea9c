"""Derives the simulator's node catalogue from what a real ComfyUI answers to GET /object_info.

    curl -s http://127.0.0.1:8188/object_info > object_info.json
    python tests/data/comfyui/derive_catalogue.py object_info.json lib/comfyui_simulator

Keeps the wire shape, but only the classes in `classes.txt` and no prose, and names models as
published workflows do.
"""

import json
import sys
from pathlib import Path
from typing import Any

CLASSES = Path(__file__).with_name("classes.txt").read_text().split()

TEXT_ENCODERS = [
    "clip_g.safetensors",
    "clip_l.safetensors",
    "t5-base.safetensors",
    "t5xxl_fp16.safetensors",
    "t5xxl_fp8_e4m3fn_scaled.safetensors",
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
]

MODELS = {
    "unet_name": [
        "flux1-dev.safetensors",
        "flux1-schnell.safetensors",
        "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors",
        "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
        "wan2.2_ti2v_5B_fp16.safetensors",
    ],
    "ckpt_name": [
        "full_sd15.ckpt",
        "sd_xl_base_1.0.safetensors",
        "sd_xl_refiner_1.0.safetensors",
        "shared_sd15.ckpt",
        "stable-audio-open-1.0.safetensors",
        "v1-5-pruned-emaonly-fp16.safetensors",
    ],
    "vae_name": [
        "ae.safetensors",
        "wan2.2_vae.safetensors",
        "wan_2.1_vae.safetensors",
        "pixel_space",
    ],
    "lora_name": [
        "style.safetensors",
        "tiny_flux_lora.safetensors",
        "tiny_sd15_lora.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors",
        "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors",
        "wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise.safetensors",
    ],
    "control_net_name": ["control_v11p_sd15_canny_fp16.safetensors"],
    "model_name": [
        "2x_simulated.safetensors",
        "4x-UltraSharp.pth",
        "RealESRGAN_x4plus.pth",
        "RealESRGAN_x4plus.safetensors",
    ],
    **dict.fromkeys(
        ["clip_name", "clip_name1", "clip_name2", "clip_name3", "clip_name4"], TEXT_ENCODERS
    ),
}
CLIP_VISION = ["clip_vision_h.safetensors"]  # also called clip_name, but on another loader

PROSE = {"tooltip", "output_tooltips", "description"}


def main(object_info: str, package: str) -> None:
    """Write the catalogue into the folder `package`; `object_info` is the saved answer."""
    known = json.loads(Path(object_info).read_text())
    lines = [f"{json.dumps(name)}: {json.dumps(compact(known[name]))}" for name in sorted(CLASSES)]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    Path(package, "object_info.json").write_text(text)


def compact(info: dict[str, Any]) -> dict[str, Any]:
    """One class without prose, with the published model names."""
    kept: dict[str, Any] = without_prose(info)
    kept["description"] = ""
    if kept["category"] == "lab":  # whatever folder the test nodes were in
        kept["python_module"] = "custom_nodes.lab"
    for group in ("required", "optional"):
        for name, spec in kept["input"].get(group, {}).items():
            rename_models(info["name"], name, spec)
    return kept


def without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_prose(item) for key, item in value.items() if key not in PROSE}
    return [without_prose(item) for item in value] if isinstance(value, list) else value


def rename_models(class_type: str, name: str, spec: list[Any]) -> None:
    names = CLIP_VISION if class_type == "CLIPVisionLoader" else MODELS.get(name)
    if names is None:
        return
    if isinstance(spec[0], list):
        spec[0] = names
    elif spec[0] == "COMBO":
        spec[1]["options"] = names


if __name__ == "__main__":
    main(*sys.argv[1:])
