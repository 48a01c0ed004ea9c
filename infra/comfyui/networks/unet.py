"""The UNet of SD1.5 and SDXL with one level of one residual block and one transformer."""

from typing import Any

from networks.layers import conv, linear, nest, norm
from networks.weights import Network

_LATENT_CHANNELS = 4


def unet(size: dict[str, Any]) -> Network:
    """SDXL where `adm_in_channels` is given (pooled text and six size embeddings), else SD1.5."""
    width, context, adm = size["model_channels"], size["context_dim"], size["adm_in_channels"]
    transformer = _transformer(width, context, linear_projections=adm is not None)
    return nest(
        {
            "time_embed": _embedder(width, inputs=width),
            "input_blocks.0.0": conv(width, _LATENT_CHANNELS, 3),
            "input_blocks.1.0": _residual(width, inputs=width),
            "input_blocks.1.1": transformer,
            # Twice the width: the decoder's input is joined with that of the encoder.
            "output_blocks.0.0": _residual(width, inputs=2 * width),
            "output_blocks.0.1": transformer,
            "output_blocks.1.0": _residual(width, inputs=2 * width),
            "output_blocks.1.1": transformer,
            "out.0": norm(width),
            "out.2": conv(_LATENT_CHANNELS, width, 3),
        }
        | ({} if adm is None else {"label_emb.0": _embedder(width, inputs=adm)})
    )


def _embedder(width: int, *, inputs: int) -> Network:
    return nest({"0": linear(4 * width, inputs), "2": linear(4 * width, 4 * width)})


def _residual(width: int, *, inputs: int) -> Network:
    skip = {} if inputs == width else {"skip_connection": conv(width, inputs, 1)}
    return nest(
        {
            "in_layers.0": norm(inputs),
            "in_layers.2": conv(width, inputs, 3),
            "emb_layers.1": linear(width, 4 * width),
            "out_layers.0": norm(width),
            "out_layers.3": conv(width, width, 3),
        }
        | skip
    )


def _transformer(width: int, context: int, *, linear_projections: bool) -> Network:
    projection = linear(width, width) if linear_projections else conv(width, width, 1)
    return nest(
        {
            "norm": norm(width),
            "proj_in": projection,
            "transformer_blocks.0": _transformer_block(width, context),
            "proj_out": projection,
        }
    )


def _transformer_block(width: int, context: int) -> Network:
    return nest(
        {
            "norm1": norm(width),
            "attn1": _attention(width, width),
            "norm2": norm(width),
            "attn2": _attention(width, context),
            "norm3": norm(width),
            "ff.net.0.proj": linear(8 * width, width),
            "ff.net.2": linear(width, 4 * width),
        }
    )


def _attention(width: int, context: int) -> Network:
    return nest(
        {
            "to_q": linear(width, width, bias=False),
            "to_k": linear(width, context, bias=False),
            "to_v": linear(width, context, bias=False),
            "to_out.0": linear(width, width),
        }
    )
