"""A four-fold upscaler of the ESRGAN family whose weights make it repeat each pixel 4 by 4."""

from networks.layers import constant, conv, nest
from networks.weights import Constant, Network, PassThrough, Tensor

_COLOURS = 3
_WIDTH = 8
_GROWTH = 32  # spandrel derives the width from the weights, but not this


def esrgan() -> Network:
    """Only the path that carries the picture is not random, and the body adds nothing to it."""
    return nest(
        {
            "conv_first": _pass_through(_WIDTH, _COLOURS),
            **{f"body.0.rdb{index}": _dense_block() for index in (1, 2, 3)},
            "conv_body": _silent(_WIDTH),
            "conv_up1": _pass_through(_WIDTH, _WIDTH),
            "conv_up2": _pass_through(_WIDTH, _WIDTH),
            "conv_hr": _pass_through(_WIDTH, _WIDTH),
            "conv_last": _pass_through(_COLOURS, _WIDTH),
        }
    )


def _dense_block() -> Network:
    growing = {
        f"conv{step + 1}": conv(_GROWTH, _WIDTH + step * _GROWTH, 3, gain=0.1) for step in range(4)
    }
    return nest(growing | {"conv5": conv(_WIDTH, _WIDTH + 4 * _GROWTH, 3, gain=0.1)})


def _pass_through(outputs: int, inputs: int) -> Network:
    weight = Tensor((outputs, inputs, 3, 3), PassThrough())
    return {"weight": weight} | constant("bias", outputs, 0.0)


def _silent(width: int) -> Network:
    weight = Tensor((width, width, 3, 3), Constant(0.0))
    return {"weight": weight} | constant("bias", width, 0.0)
