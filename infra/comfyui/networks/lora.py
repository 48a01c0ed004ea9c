"""LoRAs that change one layer of each part of a model, in the layout of kohya's scripts."""

from networks.flux import WIDTH as FLUX_WIDTH
from networks.layers import linear, nest, scalar
from networks.sizes import CLIP_L, SD15
from networks.weights import Network

_RANK = 4
_CLIP_QUERY = "text_model_encoder_layers_0_self_attn_q_proj"


def flux_lora() -> Network:
    """For `networks.flux` and its CLIP."""
    width = CLIP_L["hidden_size"]
    return nest(
        {
            "lora_unet_double_blocks_0_img_attn_proj": _pair(FLUX_WIDTH, FLUX_WIDTH),
            "lora_unet_single_blocks_0_linear1": _pair(7 * FLUX_WIDTH, FLUX_WIDTH),
            f"lora_te1_{_CLIP_QUERY}": _pair(width, width),
        }
    )


def sd15_lora() -> Network:
    """For the SD1.5 checkpoints."""
    unet, context, clip = SD15["model_channels"], SD15["context_dim"], CLIP_L["hidden_size"]
    block = "transformer_blocks_0"
    return nest(
        {
            f"lora_unet_input_blocks_1_1_{block}_attn1_to_q": _pair(unet, unet),
            f"lora_unet_output_blocks_1_1_{block}_attn2_to_v": _pair(unet, context),
            f"lora_te_{_CLIP_QUERY}": _pair(clip, clip),
        }
    )


def _pair(outputs: int, inputs: int) -> Network:
    up, down = linear(outputs, _RANK, bias=False), linear(_RANK, inputs, bias=False)
    return nest({"lora_up": up, "lora_down": down}) | scalar("alpha", float(_RANK))
