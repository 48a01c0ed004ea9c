"""TAESD, the tiny autoencoder, at its real size: ComfyUI takes it as a VAE and for previews.

The gains keep a signal alive through 30 untrained layers, so that a picture is mid-grey with
texture that depends on the latent, and not blank.
"""

from networks.layers import conv, nest, scalar
from networks.weights import Network

_WIDTH = 64
_DECODER_BLOCKS = (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)
_DECODER_UPSAMPLERS = (7, 12, 17)
_ENCODER_BLOCKS = (1, 3, 4, 5, 7, 8, 9, 11, 12, 13)
_ENCODER_DOWNSAMPLERS = (2, 6, 10)
_RELU_GAIN = 1.4  # a ReLU halves the variance


def autoencoder(latent_channels: int, *, latent_scale: float) -> Network:
    """A VAE in TAESD's format; `latent_scale` is that of the model family's latent space."""
    coders = {"taesd_encoder": _encoder(latent_channels), "taesd_decoder": decoder(latent_channels)}
    return nest(coders) | scalar("vae_scale", latent_scale) | scalar("vae_shift", 0.0)


def decoder(latent_channels: int) -> Network:
    """The half that `--preview-method taesd` reads."""
    upsampler = conv(_WIDTH, _WIDTH, 3, bias=None, gain=_RELU_GAIN)
    return nest(
        {
            "1": conv(_WIDTH, latent_channels, 3, gain=_RELU_GAIN),
            **{str(index): _block() for index in _DECODER_BLOCKS},
            **{str(index): upsampler for index in _DECODER_UPSAMPLERS},
            "19": conv(3, _WIDTH, 3, gain=0.15, bias=0.5),
        }
    )


def _encoder(latent_channels: int) -> Network:
    downsampler = conv(_WIDTH, _WIDTH, 3, bias=None)
    return nest(
        {
            "0": conv(_WIDTH, 3, 3),
            **{str(index): _block() for index in _ENCODER_BLOCKS},
            **{str(index): downsampler for index in _ENCODER_DOWNSAMPLERS},
            "14": conv(latent_channels, _WIDTH, 3),
        }
    )


def _block() -> Network:
    return nest(
        {
            "conv.0": conv(_WIDTH, _WIDTH, 3, gain=_RELU_GAIN),
            "conv.2": conv(_WIDTH, _WIDTH, 3, gain=_RELU_GAIN),
            "conv.4": conv(_WIDTH, _WIDTH, 3, gain=0.2),  # added to the block's own input
        }
    )
