"""A call in the style of transformers' pipelines: an image and texts in, plain dictionaries out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict, overload

from PIL import Image

from m3att.inputs import Picture
from m3att.prediction import Prediction
from m3att.segmenter import Segmenter


class Box(TypedDict):
    """A box in pixels, the lower right corner exclusive, in the names of transformers."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


class Found(TypedDict):
    """What was found for one text, in the names of transformers.

    `score` is that of `Prediction`, `label` the text, `mask` a grey picture of 0 and 255. `box` is None
    for an empty mask.
    """

    score: float
    label: str
    mask: Image.Image
    box: Box | None


class Pipeline:
    """Finds what texts name in images. Several threads may share it.

    Args:
        segmenter: that finds the masks.
        batch_size: images that go through the network at once, where a call gets several.
    """

    def __init__(self, segmenter: Segmenter, batch_size: int = 8) -> None:
        self.segmenter, self.batch_size = segmenter, batch_size

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is one image, though it is a sequence of str too
        self, image: Picture, text: str | Sequence[str], threshold: float | None = None
    ) -> list[Found]:
        """For one image. See below."""

    @overload
    def __call__(
        self, image: Sequence[Picture], text: str | Sequence[str], threshold: float | None = None
    ) -> list[list[Found]]:
        """For a list or tuple of images. See below."""

    def __call__(
        self,
        image: Picture | Sequence[Picture],
        text: str | Sequence[str],
        threshold: float | None = None,
    ) -> list[Found] | list[list[Found]]:
        """Find what each text names.

        Args:
            image: as `Segmenter.encode` takes it, or a list or tuple of images.
            text: one text, or several, asked of each image.
            threshold: probability over which a pixel belongs to a mask. None: the model's own.

        Returns:
            For one image a list with an entry a text; for a list of images a list of such lists.

        Raises:
            ImageError: if an image cannot be read.
            ExpressionError: if a text holds no word, or none that the model knows.
            ConfigError: if the threshold is not in [0, 1).
        """
        if isinstance(image, list | tuple):
            return list(self.stream(image, text, threshold))
        (found,) = self.stream([image], text, threshold)  # type: ignore[list-item]  # no list is a Picture
        return found

    def stream(
        self, images: Iterable[Picture], text: str | Sequence[str], threshold: float | None = None
    ) -> Iterator[list[Found]]:
        """Like a call with many images, but one by one, in the memory of one batch.

        Args:
            images: as `Segmenter.encode` takes them.
            text: one text, or several, asked of each image.
            threshold: None for the model's own.
        """
        for scene in self.segmenter.encode_many(images, self.batch_size):
            yield [as_found(prediction) for prediction in scene.stream(text, threshold)]


def pipeline(
    model: str | Path = "bundled", device: str = "auto", dtype: str = "float32", batch_size: int = 8
) -> Pipeline:
    """Load a model as a pipeline.

    >>> find = pipeline("photo")                            # doctest: +SKIP
    >>> find("park.jpg", "the man in red")[0]["mask"].save("mask.png")

    Args:
        model: see `Segmenter.from_pretrained`.
        device: see `Segmenter.from_pretrained`.
        dtype: see `Segmenter.from_pretrained`.
        batch_size: images that go through the network at once, where a call gets several.

    Raises:
        ModelError, ConfigError: as `Segmenter.from_pretrained`.
    """
    return Pipeline(Segmenter.from_pretrained(model, device, dtype), batch_size)


def as_found(prediction: Prediction) -> Found:
    """A prediction in the names of transformers."""
    box: Box | None = None
    if prediction.box is not None:
        left, top, right, bottom = prediction.box
        box = Box(xmin=left, ymin=top, xmax=right, ymax=bottom)
    return Found(score=prediction.score, label=prediction.expression, mask=prediction.mask_picture(), box=box)
