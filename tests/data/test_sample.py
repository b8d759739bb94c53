"""A sample is validated at birth."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.masks import unite
from m3att.data.sample import Sample
from m3att.errors import DataError


@pytest.fixture
def sample() -> Sample:
    return Sample(
        image_HWC=np.zeros((4, 6, 3), dtype=np.uint8),
        masks=(np.zeros((4, 6), dtype=bool), read_segmentation([[1, 1, 4, 1, 4, 3, 1, 3]], 4, 6)),
        mask_index_N=(0, 1, 0),
        expressions=("one", "two", "three"),
        expression_ids=(7, 8, 9),
        image_id=12,
        skills=((), ("kind",), ()),
    )


@pytest.mark.parametrize(
    "change", [{"mask_index_N": (0, 1)}, {"expression_ids": (7,)}, {"skills": ()}, {"expressions": ("one",)}]
)
def test_lengths_must_agree(sample: Sample, change: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(DataError, match=r"image 12: . expressions, but masks, ids or skills of another number"):
        replace(sample, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 6), dtype=np.uint8),
        np.zeros((4, 6, 4), dtype=np.uint8),
        np.zeros((4, 6, 3), dtype=np.float32),
        np.zeros((3, 4, 6), dtype=np.uint8),
    ],
)
def test_an_image_is_rgb_bytes(sample: Sample, image: NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match=re.escape("image 12: needs RGB uint8 (H, W, 3)")):
        replace(sample, image_HWC=image)


def test_masks_have_the_image_s_size(sample: Sample) -> None:
    with pytest.raises(DataError, match=r"image 12: a mask \(6, 4\) and the image \(4, 6\) differ"):
        replace(sample, masks=(sample.masks[0], np.zeros((6, 4), dtype=bool)))
    with pytest.raises(DataError, match=r"image 12: a mask \(6, 4\)"):
        replace(sample, masks=(sample.masks[0], unite([], 6, 4)))


def test_masks_of_both_forms_are_drawn(sample: Sample) -> None:
    assert sample.masks_MHW.dtype == np.bool_
    assert sample.masks_MHW.sum(axis=(1, 2)).tolist() == [0, 6]
    assert sample.masks_MHW[1, 1:3, 1:4].all()


def test_it_does_not_change(sample: Sample) -> None:
    with pytest.raises(FrozenInstanceError):
        sample.image_id = 3  # type: ignore[misc]


def test_no_expression_is_a_sample_too(sample: Sample) -> None:
    empty = replace(sample, masks=(), mask_index_N=(), expressions=(), expression_ids=(), skills=())
    assert empty.masks_MHW.shape == (0, 4, 6)
