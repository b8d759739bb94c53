"""Collages of one training or scoring: which library, how large, and by which seed and epoch they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3att.data.collage.colours import Demands, demanded_colours
from m3att.data.collage.compose import compose_collage
from m3att.data.collage.cutouts import CutoutLibrary, open_cutouts
from m3att.data.collage.people import PERSON, calls
from m3att.data.layout.paint import Annotation
from m3att.errors import ConfigError


@dataclass(frozen=True)
class Collages:
    """What is needed to draw any image of a data set as a collage.

    Args:
        library: cut-outs and backgrounds.
        side: longer side of a collage in pixels.
        seed: another seed, other collages.
        epoch: another epoch, other collages again.
    """

    library: CutoutLibrary
    side: int
    seed: int = 0
    epoch: int = 0

    def at_epoch(self, epoch: int) -> Collages:
        """The same for another epoch."""
        return replace(self, epoch=epoch)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the collage of an image of that height and width."""
        scale = self.side / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def paint(
        self,
        height: int,
        width: int,
        annotations: Sequence[Annotation],
        categories: Mapping[int, str],
        expressions: Mapping[int, Sequence[str]],
        image_id: int,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Draws an image; a pure function of seed, epoch and arguments.

        Args:
            height: of the image as annotated, pixels.
            width: of the image as annotated, pixels.
            annotations: its A objects.
            categories: name of each category id.
            expressions: what is said of an object, by its place among the annotations.
            image_id: its id.

        Returns:
            The picture, RGB uint8 (H, W, 3) of `size_of`, and for each pixel the number of the annotation seen there,
            or -1, int16 (H, W).
        """
        drawn_height, drawn_width = self.size_of(height, width)
        across, down = drawn_width / width, drawn_height / height
        scaled = [replace(one, box=_scaled(one.box, across, down)) for one in annotations]
        demands: dict[int, Demands] = {}
        called: dict[int, dict[str, float]] = {}
        for number, texts in expressions.items():
            person = categories.get(annotations[number].category_id) == PERSON
            if found := demanded_colours(texts, person):
                demands[number] = found
            if person and (said := calls(texts)):
                called[number] = said
        chance = np.random.default_rng([self.seed, self.epoch, image_id % 2**63])
        return compose_collage(drawn_height, drawn_width, scaled, categories, demands, called, self.library, chance)


def _scaled(box: tuple[float, float, float, float], across: float, down: float) -> tuple[float, float, float, float]:
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def open_collages(files: Sequence[str], side: int, seed: int) -> Collages:
    """The collages that the settings describe.

    Args:
        files: COCO files with outlines, ``data.cutouts``.
        side: see Collages.
        seed: see Collages.

    Raises:
        ConfigError: where no file is named.
        DataError: where one cannot be used.
    """
    if not files:
        raise ConfigError(
            "collages need objects to cut out: give COCO files with outlines as --data.cutouts, or give "
            "--data.pixels photos"
        )
    return Collages(open_cutouts([Path(file) for file in files]), side, seed)
