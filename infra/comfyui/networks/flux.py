"""Flux's transformer with one double and one single block, one head wide."""

from networks.layers import linear, nest, rms_norm
from networks.sizes import CLIP_L, T5XXL
from networks.weights import Network

WIDTH = 128
"""The sum of Flux's rotary axes (16, 56, 56): the least width there is."""

_PATCH_VALUES = 64  # 16 latent channels in patches of 2 by 2
_TIMESTEP_VALUES = 256


def flux(*, guidance: bool) -> Network:
    """Flux dev with `guidance`, Flux schnell without: ComfyUI tells them apart by that layer."""
    return nest(
        {
            "img_in": linear(WIDTH, _PATCH_VALUES),
            "txt_in": linear(WIDTH, T5XXL["d_model"]),
            "time_in": _embedder(_TIMESTEP_VALUES),
            "vector_in": _embedder(CLIP_L["projection_dim"]),
            "double_blocks.0": nest({"img": _stream(), "txt": _stream()}, separator="_"),
            "single_blocks.0": _single_block(),
            "final_layer.linear": linear(_PATCH_VALUES, WIDTH),
            "final_layer.adaLN_modulation.1": linear(2 * WIDTH, WIDTH),
        }
        | ({"guidance_in": _embedder(_TIMESTEP_VALUES)} if guidance else {})
    )


def _embedder(inputs: int) -> Network:
    return nest({"in_layer": linear(WIDTH, inputs), "out_layer": linear(WIDTH, WIDTH)})


def _stream() -> Network:
    return nest(
        {
            "mod.lin": linear(6 * WIDTH, WIDTH),
            "attn.qkv": linear(3 * WIDTH, WIDTH),
            "attn.proj": linear(WIDTH, WIDTH),
            "attn.norm": _query_key_norm(),
            "mlp.0": linear(4 * WIDTH, WIDTH),
            "mlp.2": linear(WIDTH, 4 * WIDTH),
        }
    )


def _single_block() -> Network:
    return nest(
        {
            "linear1": linear(7 * WIDTH, WIDTH),
            "linear2": linear(WIDTH, 5 * WIDTH),
            "modulation.lin": linear(3 * WIDTH, WIDTH),
            "norm": _query_key_norm(),
        }
    )


def _query_key_norm() -> Network:
    scale = rms_norm(WIDTH, name="scale")
    return nest({"query_norm": scale, "key_norm": scale})
