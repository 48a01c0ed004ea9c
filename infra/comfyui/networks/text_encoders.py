"""CLIP and T5 text encoders with the real vocabularies, so that the real tokenizers fit."""

from networks.layers import embedding, linear, nest, norm, rms_norm
from networks.sizes import T5XXL
from networks.weights import Network

_CLIP_VOCABULARY = 49408
_CLIP_POSITIONS = 77
_T5_VOCABULARY = 32128
_T5_RELATIVE_POSITIONS = 32


def clip(size: dict[str, int], *, projection: bool = True) -> Network:
    """CLIP's text half in the layout of transformers; checkpoints carry it without projection."""
    width = size["hidden_size"]
    layer = _clip_layer(width, size["intermediate_size"])
    layers = range(size["num_hidden_layers"])
    return nest(
        {
            "text_model.embeddings.token_embedding": embedding(_CLIP_VOCABULARY, width),
            "text_model.embeddings.position_embedding": embedding(_CLIP_POSITIONS, width),
            **{f"text_model.encoder.layers.{index}": layer for index in layers},
            "text_model.final_layer_norm": norm(width),
        }
        | ({"text_projection": linear(width, width, bias=False)} if projection else {})
    )


def _clip_layer(width: int, hidden: int) -> Network:
    projections = ("q_proj", "k_proj", "v_proj", "out_proj")
    return nest(
        {
            "layer_norm1": norm(width),
            "self_attn": nest({name: linear(width, width) for name in projections}),
            "layer_norm2": norm(width),
            "mlp.fc1": linear(hidden, width),
            "mlp.fc2": linear(width, hidden),
        }
    )


def t5() -> Network:
    """T5's encoder. Only the first block holds the table of relative positions."""
    width = T5XXL["d_model"]
    positions = embedding(_T5_RELATIVE_POSITIONS, T5XXL["num_heads"])
    return nest(
        {
            "shared": embedding(_T5_VOCABULARY, width),
            **{f"encoder.block.{index}": _t5_block() for index in range(T5XXL["num_layers"])},
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": positions,
            "encoder.final_layer_norm": rms_norm(width),
        }
    )


def _t5_block() -> Network:
    width, hidden = T5XXL["d_model"], T5XXL["d_ff"]
    heads = T5XXL["num_heads"] * T5XXL["d_kv"]
    return nest(
        {
            **{f"layer.0.SelfAttention.{n}": linear(heads, width, bias=False) for n in "qkv"},
            "layer.0.SelfAttention.o": linear(width, heads, bias=False),
            "layer.0.layer_norm": rms_norm(width),
            "layer.1.DenseReluDense.wi_0": linear(hidden, width, bias=False),
            "layer.1.DenseReluDense.wi_1": linear(hidden, width, bias=False),
            "layer.1.DenseReluDense.wo": linear(width, hidden, bias=False),
            "layer.1.layer_norm": rms_norm(width),
        }
    )
