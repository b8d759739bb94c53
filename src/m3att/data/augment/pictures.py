"""Random changes of a sample in training: mirror, crop, colour jitter. None makes an expression wrong."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.config import DataConfig
from m3att.data.augment.words import mirrored, names_colour, names_place
from m3att.data.masks import draw
from m3att.data.sample import Sample

RATIOS = (3 / 4, 4 / 3)  # of the sides of a crop, relative to those of the image
HUE_SHARE = 0.25  # of the strength of the jitter, as a share of the whole circle of hues


def augmented(sample: Sample, data: DataConfig, seed: int) -> Sample:
    """A sample as a training sees it, which depends on nothing but the arguments.

    Args:
        sample: with the expressions of a batch.
        data: says which changes there are.
        seed: of the sample; each change has a generator of its own, so that one does not alter another.
    """
    if data.flip and np.random.default_rng([seed, 0]).random() < 0.5:
        sample = mirror(sample)
    if data.crop < 1:
        sample = crop(sample, data.crop, np.random.default_rng([seed, 1]))
    if data.jitter > 0:
        sample = jitter(sample, data.jitter, np.random.default_rng([seed, 2]))
    return sample


def mirror(sample: Sample) -> Sample:
    """The mirrored sample, with the words of its expressions; the sample itself where nobody can tell one of them."""
    told = [mirrored(text) for text in sample.expressions]
    texts = tuple(text for text in told if text is not None)
    if len(texts) < len(told):
        return sample
    return replace(
        sample,
        image_HWC=np.ascontiguousarray(sample.image_HWC[:, ::-1]),
        masks=tuple(np.ascontiguousarray(draw(mask)[:, ::-1]) for mask in sample.masks),
        categories_HW=None if sample.categories_HW is None else np.ascontiguousarray(sample.categories_HW[:, ::-1]),
        expressions=texts,
    )


def crop(sample: Sample, smallest: float, chance: np.random.Generator) -> Sample:
    """A random part of the image that holds the referents whole; expressions of places in the image are dropped.

    The image stays whole where all of its expressions would be dropped.

    Args:
        sample: with the expressions of a batch.
        smallest: least share of the area that is drawn. Referents that need more get it.
        chance: draws the part.

    Returns:
        The part, with the masks of the expressions that stay.
    """
    stay = [number for number, text in enumerate(sample.expressions) if not names_place(text)]
    height, width = sample.image_HWC.shape[:2]
    share, ratio = chance.uniform(smallest, 1), np.exp(chance.uniform(*np.log(RATIOS)))
    places = chance.random(2)
    if not stay:
        return sample
    rows = sorted({sample.mask_index_N[number] for number in stay})
    masks = {row: draw(sample.masks[row]) for row in rows}
    covered_HW = np.any(list(masks.values()), axis=0)
    left, top, across, down = cv2.boundingRect(covered_HW.view(np.uint8))
    if across == 0:  # expressions that name nothing name nothing in any part
        left, top, across, down = width // 2, height // 2, 1, 1
    wide = min(width, max(across, round(width * (share * ratio) ** 0.5)))
    high = min(height, max(down, round(height * (share / ratio) ** 0.5)))
    if (wide, high) == (width, height):
        return sample
    first_x, first_y = (
        min(round(place * (high_end - low + 1) - 0.5), high_end - low) + low
        for place, low, high_end in (
            (places[0], max(0, left + across - wide), min(left, width - wide)),
            (places[1], max(0, top + down - high), min(top, height - high)),
        )
    )
    part = np.s_[first_y : first_y + high, first_x : first_x + wide]
    kept = sample.only(stay)
    return replace(
        kept,
        image_HWC=np.ascontiguousarray(sample.image_HWC[part]),
        masks=tuple(np.ascontiguousarray(masks[row][part]) for row in rows),
        mask_index_N=tuple(rows.index(row) for row in kept.mask_index_N),
        boxed=tuple(sample.boxed_M[row] for row in rows) if sample.boxed else (),
        categories_HW=None if sample.categories_HW is None else np.ascontiguousarray(sample.categories_HW[part]),
    )


def jitter(sample: Sample, strength: float, chance: np.random.Generator) -> Sample:
    """The sample in another light: brightness, contrast, saturation and hue, in random order.

    A sample with an expression that names a colour stays as it is.

    Args:
        sample: with the expressions of a batch.
        strength: brightness, contrast and saturation are multiplied by 1 - strength to 1 + strength, and hues are
            turned by up to a quarter of it, as a share of the circle.
        chance: draws them.
    """
    factors = chance.uniform(max(0.0, 1 - strength), 1 + strength, 3).astype(np.float32)
    turn = float(chance.uniform(-strength, strength)) * HUE_SHARE
    order = chance.permutation(4).tolist()
    if any(names_colour(text) for text in sample.expressions):
        return sample
    image_HWC = sample.image_HWC
    for change in order:
        image_HWC = turned_hue(image_HWC, turn) if change == 3 else scaled(image_HWC, change, float(factors[change]))
    return replace(sample, image_HWC=image_HWC)


def scaled(image_HWC: NDArray[np.uint8], change: int, factor: float) -> NDArray[np.uint8]:
    """An image of another brightness, contrast or saturation: it moves away from black, its mean grey or its grey.

    Args:
        image_HWC: RGB.
        change: 0 brightness, 1 contrast, 2 saturation.
        factor: 1 changes nothing.

    Returns:
        (H, W, 3).
    """
    grey_HW = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY)
    if change == 2:
        grey_HWC = cv2.cvtColor(grey_HW, cv2.COLOR_GRAY2RGB)
        return np.asarray(cv2.addWeighted(image_HWC, factor, grey_HWC, 1 - factor, 0), dtype=np.uint8)
    rest = (1 - factor) * float(grey_HW.mean()) if change == 1 else 0.0
    return np.asarray(cv2.addWeighted(image_HWC, factor, image_HWC, 0, rest), dtype=np.uint8)


def turned_hue(image_HWC: NDArray[np.uint8], turn: float) -> NDArray[np.uint8]:
    """An image with its hues turned.

    Args:
        image_HWC: RGB.
        turn: share of the whole circle.

    Returns:
        (H, W, 3).
    """
    hsv_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2HSV_FULL)
    hsv_HWC[..., 0] += np.uint8(round(turn * 256) % 256)
    return np.asarray(cv2.cvtColor(hsv_HWC, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)
