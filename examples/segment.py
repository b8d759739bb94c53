"""The Python API in one file, with types that a checker follows.

python examples/segment.py examples/coffee.jpg "the cup" "the spoon"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att import Prediction, Predictions, Scene, Segmenter, pipeline


def largest(found: Sequence[Prediction]) -> Prediction:
    """The prediction with the largest mask."""
    return max(found, key=lambda prediction: prediction.area)


def as_transformers_do(image: str, text: str) -> Image.Image:
    """The mask of one text as a grey picture."""
    find = pipeline("photo")
    for entries in find([image, image], [text, "the table"]):  # a list for each image
        print(", ".join(f"{entry['label']} {entry['score']:.2f}" for entry in entries))
    mask: Image.Image = find(image, text)[0]["mask"]
    return mask


def main(image: str, expressions: list[str]) -> Predictions:
    """Print what is found, and save a picture of the largest mask."""
    segmenter: Segmenter = Segmenter.from_pretrained("photo", device="auto", dtype="float32")
    scene: Scene = segmenter.encode(image)  # once for all expressions
    found: Predictions = scene.segment(expressions)
    for prediction in found:
        mask: NDArray[np.bool_] = prediction.mask
        box: tuple[int, int, int, int] | None = prediction.box
        holes = sum(len(polygon.holes) for polygon in prediction.polygons)
        print(f"{prediction.expression}: {mask.sum()} pixels, {holes} holes, box {box}, score {prediction.score:.2f}")
    largest(found).overlay().save("largest.png")
    as_transformers_do(image, expressions[0]).save("mask.png")
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
