"""The layers that networks are put together from, with the scales that keep signals alive."""

import math
from collections.abc import Mapping

from networks.weights import Constant, Network, Normal, Tensor

_EMBEDDING_DEVIATION = 0.02


def nest(parts: Mapping[str, Network], *, separator: str = ".") -> Network:
    """Join networks into one: `{"a": {"weight": w}}` becomes `{"a.weight": w}`."""
    return {
        f"{prefix}{separator}{name}": tensor
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }


def linear(outputs: int, inputs: int, *, bias: bool = True) -> Network:
    """A fully connected layer that keeps the variance of its input."""
    weight = Tensor((outputs, inputs), Normal(1 / math.sqrt(inputs)))
    return {"weight": weight} | (constant("bias", outputs, 0.0) if bias else {})


def conv(
    outputs: int, inputs: int, kernel: int, *, bias: float | None = 0.0, gain: float = 1.0
) -> Network:
    """A square convolution that multiplies the deviation of its input by `gain`."""
    fan_in = inputs * kernel**2
    weight = Tensor((outputs, inputs, kernel, kernel), Normal(gain / math.sqrt(fan_in)))
    return {"weight": weight} | ({} if bias is None else constant("bias", outputs, bias))


def norm(channels: int) -> Network:
    """A group or layer norm that only normalises."""
    return constant("weight", channels, 1.0) | constant("bias", channels, 0.0)


def rms_norm(channels: int, *, name: str = "weight") -> Network:
    """A norm without a bias."""
    return constant(name, channels, 1.0)


def embedding(count: int, width: int) -> Network:
    """A table of `count` vectors."""
    return {"weight": Tensor((count, width), Normal(_EMBEDDING_DEVIATION))}


def constant(name: str, length: int, value: float) -> Network:
    """One vector with the same value everywhere."""
    return {name: Tensor((length,), Constant(value))}


def scalar(name: str, value: float) -> Network:
    """One tensor without dimensions."""
    return {name: Tensor((), Constant(value))}
