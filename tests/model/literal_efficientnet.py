"""EfficientNet-Lite written out: the table of blocks as the original has it, convolutions as sums over taps."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn

# As in the original: repeats, kernel, strides, expansion, channels in and out.
BLOCKS = (
    "r1_k3_s11_e1_i32_o16", "r2_k3_s22_e6_i16_o24", "r2_k5_s22_e6_i24_o40", "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112", "r4_k5_s22_e6_i112_o192", "r1_k3_s11_e6_i192_o320",
)  # fmt: skip
COEFFICIENTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width, depth
EPSILON = 1e-3


def random_state(module: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics of a network that keeps its signal: kernels by what goes in, variances around 1."""
    state = {}
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
        elif value.ndim == 4:
            state[name] = torch.randn_like(value) / math.sqrt(value[0].numel())
        elif name.endswith(("running_var", "weight")):
            state[name] = torch.rand_like(value) + 0.5
        else:
            state[name] = torch.randn_like(value) / 4
    return state


def literal_maps(size: str, state: dict[str, Tensor], pixels_BCHW: Tensor) -> list[Tensor]:
    """The last map of each stride, finest first, of a state dict with the names of `EfficientNetLite`."""
    width, depth = COEFFICIENTS[size]

    def layer(name: str, features_BCHW: Tensor, stride: int, groups: int = 1) -> Tensor:
        made_BCHW = same_convolution(features_BCHW, state[f"{name}.conv.weight"], stride, groups)
        mean, variance, weight, bias = (
            state[f"{name}.norm.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return weight * (made_BCHW - mean) / torch.sqrt(variance + EPSILON) + bias

    def capped(features_BCHW: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(features_BCHW, torch.tensor(0.0)), torch.tensor(6.0))

    features_BCHW = capped(layer("stem", pixels_BCHW, 2))
    maps: dict[int, Tensor] = {}
    number, total_stride = 0, 2
    for row, text in enumerate(BLOCKS):
        values = {key: int(digits) for key, digits in re.findall(r"([rksei])(\d)", text)}
        repeats = values["r"] if row in (0, len(BLOCKS) - 1) else math.ceil(values["r"] * depth)
        for repeat in range(repeats):
            stride = values["s"] if repeat == 0 else 1
            total_stride *= stride
            name, inner_BCHW = f"blocks.{number}", features_BCHW
            if values["e"] != 1:
                inner_BCHW = capped(layer(f"{name}.expand", inner_BCHW, 1))
            inner_BCHW = capped(layer(f"{name}.depthwise", inner_BCHW, stride, groups=inner_BCHW.shape[1]))
            made_BCHW = layer(f"{name}.project", inner_BCHW, 1)
            features_BCHW = made_BCHW + features_BCHW if repeat else made_BCHW
            number += 1
        wanted = int(text.rpartition("_o")[2]) * width
        nearest = min((c for c in range(8, 999, 8) if c >= 0.9 * wanted), key=lambda c: (abs(c - wanted), -c))
        assert features_BCHW.shape[1] == nearest
        maps[total_stride] = features_BCHW
    return list(maps.values())


def same_convolution(features_BCHW: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """TensorFlow's convolution with padding SAME: for each output cell the sum over the kernel's taps."""
    images, channels, *sides = features_BCHW.shape
    kernel = weight.shape[2]
    rows, columns = (math.ceil(side / stride) for side in sides)
    before = [max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) // 2 for side in sides]
    # Enough zeros on every side; the image lies where SAME puts it.
    canvas = features_BCHW.new_zeros(images, channels, rows * stride + 2 * kernel, columns * stride + 2 * kernel)
    canvas[:, :, before[0] : before[0] + sides[0], before[1] : before[1] + sides[1]] = features_BCHW
    made_BCHW = features_BCHW.new_zeros(images, weight.shape[0], rows, columns)
    for y in range(kernel):
        for x in range(kernel):
            seen_BCHW = canvas[:, :, y : y + stride * rows : stride, x : x + stride * columns : stride]
            tap = weight[:, :, y, x]
            if groups == 1:
                made_BCHW += torch.einsum("bihw,oi->bohw", seen_BCHW, tap)
            else:
                made_BCHW += seen_BCHW * tap.view(1, -1, 1, 1)
    return made_BCHW
