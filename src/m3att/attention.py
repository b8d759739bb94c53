"""Where the words of an expression look: the two softmaxes of M3Att's A_mut, laid over the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from numpy.typing import NDArray

from m3att.data.text import encodable
from m3att.errors import ConfigError
from m3att.segmenter import Scene

if TYPE_CHECKING:  # an exported model runs without PyTorch
    from m3att.backends.pytorch import TorchBackend


@dataclass(frozen=True, eq=False)
class WordAttention:
    """The mutual attention between the words of an expression and the positions of an image.

    Paper: Eq. 1, 2a and 2b. Departs: with several heads, the mean of their weights.

    Args:
        words: L words of the expression, as the model reads them.
        lav: float32 (L, H, W), the weights of LAV: those of each word over all positions sum to 1.
        val: float32 (L, H, W), the weights of VAL: those of each position over all words, and padding, sum to 1.
        padding: float32 (H, W), what VAL gives to padding at each position; 0 unless the model reads it as words.
        region: left, top, width and height of the image in this grid, in cells. A letterboxed image does not fill it.
        layer: number of the decoder layer, from 0.
        layers: how many decoder layers there are.
    """

    words: tuple[str, ...]
    lav: NDArray[np.float32] = field(repr=False)
    val: NDArray[np.float32] = field(repr=False)
    padding: NDArray[np.float32] = field(repr=False)
    region: tuple[float, float, float, float]
    layer: int
    layers: int


def attend(scene: Scene, expression: str, layer: int = -1) -> WordAttention:
    """Where the words of an expression look.

    Args:
        scene: an encoded image.
        expression: one expression.
        layer: number of the decoder layer; negative numbers count from the last.

    Raises:
        ExpressionError: if the expression holds no word, or none that the model knows.
        ConfigError: if there is no such layer, if the model has no A_mut that words look through, or if it is not run
            by PyTorch.
    """
    segmenter = scene.segmenter
    segmenter.check(expression)
    if not can_attend(segmenter.backend):
        raise ConfigError("the ONNX form of a model does not give its attention: use the backend pytorch")
    words = segmenter.tokenizer([expression])
    ids_NL, mask_NL = np.asarray(words.word_ids_NL), np.asarray(words.word_mask_NL)
    maps, grid = segmenter.backend.attention(scene.features, ids_NL, mask_NL)
    if not maps:
        raise ConfigError("this model has no attention over positions (model.decoder.attention is val or vision_query)")
    if not -len(maps) <= layer < len(maps):
        raise ConfigError(f"layer {layer}: the model has {len(maps)} decoder layers, give 0 to {len(maps) - 1}")
    lav, val = (softmax(maps[layer][0], axis).mean(axis=0).reshape(-1, *grid.cells) for axis in (2, 1))
    encoding = segmenter.tokenizer.tokenizer.encode(encodable(expression), add_special_tokens=False)
    count = ids_NL.shape[1]
    top, left, height, width = (side / grid.stride for side in scene.resize.content)
    return WordAttention(
        tuple(expression[start:end] for start, end in encoding.offsets[:count]),
        lav[:count],
        val[:count],
        val[count:].sum(axis=0),
        (left, top, width, height),
        layer % len(maps),
        len(maps),
    )


def can_attend(backend: object) -> TypeGuard[TorchBackend]:
    """Whether a backend can tell where the words look."""
    return hasattr(backend, "attention")


def softmax(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Softmax along an axis; the result has the shape of the values (K, L, P)."""
    powers: NDArray[np.float32] = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), dtype=np.float32)
