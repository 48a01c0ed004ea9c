"""Makes the tiny random-weight models, under the file names that real graphs use.

usage: tiny_models.py MODELS_FOLDER [--safetensors-only]

A few megabytes each; the same bytes at each run. Only the files in torch's own format need torch.
ComfyUI must run with the custom node `comfyq_lab`, which tells it the sizes.
"""

import argparse
import io
from pathlib import Path

from networks.esrgan import esrgan
from networks.flux import flux
from networks.layers import nest
from networks.lora import flux_lora, sd15_lora
from networks.sizes import CLIP_G, CLIP_L, SD15, SDXL
from networks.taesd import autoencoder, decoder
from networks.text_encoders import clip, t5
from networks.unet import unet
from networks.weights import Network, replace, write_safetensors

# Latent channels and scale of each family, as ComfyUI's latent formats have them.
FLUX_LATENTS = 16
FLUX_LATENT_SCALE = 0.3611
SD_LATENTS = 4
SD15_LATENT_SCALE = 0.18215
SDXL_LATENT_SCALE = 0.13025


def sd15_checkpoint() -> Network:
    return nest(
        {
            "model.diffusion_model": unet(SD15),
            "cond_stage_model.transformer": clip(CLIP_L, projection=False),
            "first_stage_model": autoencoder(SD_LATENTS, latent_scale=SD15_LATENT_SCALE),
        }
    )


def sdxl_checkpoint() -> Network:
    return nest(
        {
            "model.diffusion_model": unet(SDXL),
            "conditioner.embedders.0.transformer": clip(CLIP_L, projection=False),
            "conditioner.embedders.1.model.transformer": clip(CLIP_G),
            "first_stage_model": autoencoder(SD_LATENTS, latent_scale=SDXL_LATENT_SCALE),
        }
    )


def safetensors_models() -> dict[str, Network]:
    """The models by their path below the models folder."""
    return {
        "checkpoints/v1-5-pruned-emaonly-fp16.safetensors": sd15_checkpoint(),
        "checkpoints/sd_xl_base_1.0.safetensors": sdxl_checkpoint(),
        "diffusion_models/flux1-dev.safetensors": flux(guidance=True),
        "diffusion_models/flux1-schnell.safetensors": flux(guidance=False),
        "text_encoders/clip_l.safetensors": clip(CLIP_L),
        "text_encoders/t5xxl_fp16.safetensors": t5(),
        "vae/ae.safetensors": autoencoder(FLUX_LATENTS, latent_scale=FLUX_LATENT_SCALE),
        "vae_approx/taesd_decoder.safetensors": decoder(SD_LATENTS),
        "vae_approx/taesdxl_decoder.safetensors": decoder(SD_LATENTS),
        "vae_approx/taef1_decoder.safetensors": decoder(FLUX_LATENTS),
        "loras/style.safetensors": flux_lora(),  # of the API's documented example
        "loras/tiny_flux_lora.safetensors": flux_lora(),
        "loras/tiny_sd15_lora.safetensors": sd15_lora(),
    }


def torch_models() -> dict[str, Network]:
    """The models whose real files are pickles of torch."""
    return {
        "checkpoints/shared_sd15.ckpt": sd15_checkpoint(),
        "upscale_models/4x-UltraSharp.pth": esrgan(),
        "upscale_models/RealESRGAN_x4plus.pth": esrgan(),
    }


def write_pickle(path: Path, network: Network) -> None:
    """Write `network` to `path` as torch would, whole or not at all."""
    import torch
    from safetensors.torch import load_file

    interim = path.with_name(f"{path.name}.safetensors.part")
    write_safetensors(interim, network)
    pickle = io.BytesIO()
    torch.save({"state_dict": load_file(interim)}, pickle)
    replace(path, [pickle.getvalue()])
    interim.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, metavar="MODELS_FOLDER")
    parser.add_argument("--safetensors-only", action="store_true", help="do without torch")
    arguments = parser.parse_args()
    for name, network in safetensors_models().items():
        write_safetensors(arguments.models / name, network)
    if not arguments.safetensors_only:
        for name, network in torch_models().items():
            write_pickle(arguments.models / name, network)


if __name__ == "__main__":
    main()
