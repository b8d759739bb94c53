"""The vision half in whole numbers of 8 bits, which take a quarter of the room and less time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from m3att.config import InputConfig
from m3att.data.images import read_image
from m3att.data.transforms import Resize

MOST_PHOTOS = 200
"""More photos change the ranges no more."""


class Photos(CalibrationDataReader):  # type: ignore[misc]
    """Photos in the square input, one at a time, as ONNX Runtime's calibration asks for them.

    Args:
        paths: of the files.
        inputs: size and resize of the square input.
    """

    def __init__(self, paths: Sequence[Path], inputs: InputConfig) -> None:
        self.squares: Iterator[NDArray[np.uint8]] = (square_of(path, inputs) for path in paths[:MOST_PHOTOS])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next photo as the encoder's input; None after the last."""
        square_HWC = next(self.squares, None)
        return None if square_HWC is None else {"pixels": square_HWC[None]}


def square_of(path: Path, inputs: InputConfig) -> NDArray[np.uint8]:
    """A photo in the square input, (size, size, 3)."""
    image_HWC = read_image(path)
    return Resize(image_HWC.shape[0], image_HWC.shape[1], inputs.size, inputs.resize).image(image_HWC)


def to_int8(encoder: Path, photos: Sequence[Path], inputs: InputConfig) -> float:
    """Make the convolutions of an image encoder compute with 8 bits, by the ranges that they have on photos.

    Static, and with a scale for each channel of a kernel: the channels of a depthwise convolution differ widely, and
    dynamic quantisation would give them one scale. The range of a layer is the mean of the least and of the largest
    values of the photos, so that a single photo does not make its steps coarse. Weights take 7 bits, because sums of
    two products of 8 bits overflow on processors without VNNI.

    Args:
        encoder: file of the graph; it is replaced.
        photos: a few dozen, of the kind that will be asked about.
        inputs: size and resize of the square input.

    Returns:
        The difference of the features on these photos, as a share of their size (root mean square).
    """
    folded, small = encoder.with_suffix(".folded.onnx"), encoder.with_suffix(".int8.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # standard operators only
    options.optimized_model_filepath = str(folded)
    exact = onnxruntime.InferenceSession(str(encoder), options, providers=["CPUExecutionProvider"])
    quantize_static(
        str(folded),
        str(small),
        Photos(photos, inputs),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        reduce_range=True,
        extra_options={"CalibMovingAverage": True},  # over photos; all of them are in one average
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    rounded = onnxruntime.InferenceSession(str(small), providers=["CPUExecutionProvider"])
    loss = feature_loss(exact, rounded, photos, inputs)
    small.replace(encoder)
    folded.unlink()
    return loss


def feature_loss(exact: Any, rounded: Any, photos: Sequence[Path], inputs: InputConfig) -> float:
    """The difference of two encoders' features, as a share of their size (root mean square).

    Args:
        exact: session of the first.
        rounded: session of the second.
        photos: that both are asked about.
        inputs: size and resize of the square input.
    """
    difference = size = 0.0
    for path in photos[:MOST_PHOTOS]:
        pixels = {"pixels": square_of(path, inputs)[None]}
        ours, theirs = (session.run(["features"], pixels)[0].astype(np.float64) for session in (exact, rounded))
        difference += float(np.square(theirs - ours).sum())
        size += float(np.square(ours).sum())
    return float(np.sqrt(difference / size))
