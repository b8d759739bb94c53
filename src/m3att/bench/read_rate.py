"""Measures how fast one core turns photos into network input, and how fast it only decodes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from m3att.data.annotation import read_segmentation
from m3att.data.batch import to_pixels
from m3att.data.images import read_image
from m3att.data.photos import PhotoFolder
from m3att.data.refer.objects import ObjectTable
from m3att.data.transforms import Resize
from m3att.errors import DataError


@dataclass(frozen=True)
class Photo:
    """A photo with its annotated objects.

    Args:
        path: its file.
        segmentations: polygons or run lengths, as COCO writes them.
    """

    path: Path
    segmentations: tuple[Any, ...]


def find_annotated(objects: ObjectTable, folder: PhotoFolder, numbers: Iterable[int], most: int) -> list[Photo]:
    """Photos that lie in a folder, with the outlines of their objects.

    Args:
        objects: the annotations.
        folder: of the photos.
        numbers: places in the table of the images that are wanted.
        most: how many at most.

    Raises:
        DataError: where none lies there.
    """
    found: list[Photo] = []
    for number in numbers:
        name = objects.file_names[number]
        if len(found) < most and folder.has(name):
            outlines = (objects.segmentation(row) for row in objects.rows_of_image(number))
            found.append(Photo(folder.file(name), tuple(outline for outline in outlines if outline)))
    if not found:
        raise DataError(f"{folder.path}: holds no photo that the annotations name")
    return found


def measure_reading(
    photos: Sequence[Photo],
    size: int,
    resize: Literal["letterbox", "stretch"],
    repeats: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Images a second on one thread, by stage, and decoding alone by Pillow and by OpenCV as the floor.

    Every stage runs over all photos at once, ``repeats`` times after a first round that fills the file cache; the best
    round counts.

    Args:
        photos: what to read.
        size: side of the network's input in pixels.
        resize: how an image becomes a square.
        repeats: rounds that are timed.
        progress: called with the stages done and their number.

    Returns:
        ``images``, ``objects``, ``megapixels`` (mean), ``size``, ``resize``; ``floor`` (``pillow``, ``opencv``) and
        ``stages`` (``decode``, ``resize``, ``masks``) in images a second; ``whole``, all stages in turn.

    Raises:
        ImageError: where a photo cannot be read.
        DataError: where an outline cannot be drawn.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        pixels = [read_image(photo.path) for photo in photos]
        sizes = [(image_HWC.shape[0], image_HWC.shape[1]) for image_HWC in pixels]
        places = [Resize(height, width, size, resize) for height, width in sizes]

        def masks(number: int) -> None:
            outlines = [read_segmentation(one, *sizes[number]) for one in photos[number].segmentations]
            places[number].masks(outlines)

        def whole(number: int) -> None:
            to_pixels(places[number].image(read_image(photos[number].path)))
            masks(number)

        stages: dict[str, Callable[[int], Any]] = {
            "pillow": lambda number: decode_by_pillow(photos[number].path),
            "opencv": lambda number: decode_by_opencv(photos[number].path),
            "decode": lambda number: read_image(photos[number].path),
            "resize": lambda number: to_pixels(places[number].image(pixels[number])),
            "masks": masks,
            "whole": whole,
        }
        pace: dict[str, float] = {}
        for name, stage in stages.items():
            pace[name] = images_a_second(stage, len(photos), repeats)
            if progress is not None:
                progress(len(pace), len(stages))
    finally:
        cv2.setNumThreads(threads)
    return {
        "images": len(photos),
        "objects": sum(len(photo.segmentations) for photo in photos),
        "megapixels": float(np.mean([height * width for height, width in sizes])) / 1e6,
        "size": size,
        "resize": resize,
        "floor": {name: pace[name] for name in ("pillow", "opencv")},
        "stages": {name: pace[name] for name in ("decode", "resize", "masks")},
        "whole": pace["whole"],
    }


def images_a_second(stage: Callable[[int], Any], images: int, repeats: int) -> float:
    """The best of several rounds over all images.

    Args:
        stage: takes the number of an image.
        images: how many there are.
        repeats: rounds over all of them.
    """
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        for number in range(images):
            stage(number)
        best = min(best, time.perf_counter() - begun)
    return images / best


def decode_by_pillow(path: Path) -> Any:
    """RGB pixels as Pillow alone gives them."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def decode_by_opencv(path: Path) -> Any:
    """RGB pixels as OpenCV alone gives them."""
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
