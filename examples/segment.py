"""The Python API in one file, with types that a checker follows.

python examples/segment.py examples/scene.jpg "the person in yellow" "the mushroom"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from m3att import Prediction, Predictions, Scene, Segmenter


def largest(found: Sequence[Prediction]) -> Prediction:
    """The prediction with the largest mask."""
    return max(found, key=lambda prediction: prediction.area)


def main(image: str, expressions: list[str]) -> Predictions:
    """Print what is found, and save a picture of the largest mask."""
    segmenter: Segmenter = Segmenter.from_pretrained("shaperef-tiny", device="auto", dtype="float32")
    scene: Scene = segmenter.encode(image)  # once for all expressions
    found: Predictions = scene.segment(expressions)
    for prediction in found:
        mask: NDArray[np.bool_] = prediction.mask
        box: tuple[int, int, int, int] | None = prediction.box
        holes = sum(len(polygon.holes) for polygon in prediction.polygons)
        print(f"{prediction.expression}: {mask.sum()} pixels, {holes} holes, box {box}, score {prediction.score:.2f}")
    largest(found).overlay().save("largest.png")
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
