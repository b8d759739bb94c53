"""The paper's arithmetic on plain lists of floats, one loop for each sum, to compare the network with.

Nothing here calls PyTorch but to read weights: an error shared with the network would have to be made twice.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from m3att.model.norm import MaskedBatchNorm, Projection

Vector = list[float]
Matrix = list[Vector]


def dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def softmax(values: Vector) -> Vector:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def relu(values: Vector) -> Vector:
    return [max(value, 0.0) for value in values]


def add(left: Vector, right: Vector) -> Vector:
    return [a + b for a, b in zip(left, right, strict=True)]


def weighted(weights: Vector, rows: Matrix) -> Vector:
    """The sum of rows, each times its weight."""
    total = [0.0] * len(rows[0])
    for weight, row in zip(weights, rows, strict=True):
        total = add(total, [weight * value for value in row])
    return total


def affine(row: Vector, weight: Tensor, bias: Tensor | None) -> Vector:
    shift = bias.tolist() if bias is not None else [0.0] * len(weight)
    return [dot(row, kernel) + offset for kernel, offset in zip(weight.tolist(), shift, strict=True)]


def linear(row: Vector, layer: nn.Linear | Projection) -> Vector:
    """A linear layer; for a Projection with the BN (of running statistics) and ReLU that follow."""
    if isinstance(layer, Projection):
        return relu(batch_norm(affine(row, layer.linear.weight, None), layer.norm))
    return affine(row, layer.weight, layer.bias)


def batch_norm(row: Vector, norm: MaskedBatchNorm) -> Vector:
    assert norm.running_mean is not None and norm.running_var is not None
    statistics = zip(row, norm.running_mean.tolist(), norm.running_var.tolist(), strict=True)
    straight = [(value - mean) / math.sqrt(variance + norm.eps) for value, mean, variance in statistics]
    return [value * g + b for value, g, b in zip(straight, norm.weight.tolist(), norm.bias.tolist(), strict=True)]


def layer_norm(row: Vector, norm: nn.LayerNorm) -> Vector:
    mean = sum(row) / len(row)
    variance = sum((value - mean) ** 2 for value in row) / len(row)
    straight = [(value - mean) / math.sqrt(variance + norm.eps) for value in row]
    return [value * g + b for value, g, b in zip(straight, norm.weight.tolist(), norm.bias.tolist(), strict=True)]


def head_of(row: Vector, head: int, heads: int) -> Vector:
    width = len(row) // heads
    return row[head * width : (head + 1) * width]


def multihead_attention(query: Matrix, memory: Matrix, real: list[bool], module: nn.MultiheadAttention) -> Matrix:
    """Scaled dot-product attention of every query row over the memory rows that are real."""
    channels, heads = module.embed_dim, module.num_heads
    assert module.in_proj_weight is not None and module.in_proj_bias is not None
    weights, biases = module.in_proj_weight.split(channels), module.in_proj_bias.split(channels)
    keys = [affine(row, weights[1], biases[1]) for row in memory]
    values = [affine(row, weights[2], biases[2]) for row in memory]
    answers = []
    for row in query:
        asked = affine(row, weights[0], biases[0])
        answer: Vector = []
        for head in range(heads):
            scores = [
                dot(head_of(asked, head, heads), head_of(key, head, heads)) / math.sqrt(channels / heads)
                if is_real
                else -math.inf
                for key, is_real in zip(keys, real, strict=True)
            ]
            answer += weighted(softmax(scores), [head_of(value, head, heads) for value in values])
        answers.append(affine(answer, module.out_proj.weight, module.out_proj.bias))
    return answers


def position_code(position: float, channels: int) -> Vector:
    """Sines, then cosines, of one position, at frequencies from 1 to 1/10000."""
    half = channels // 2
    angles = [position / 10000 ** (channel / half) for channel in range(half)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
