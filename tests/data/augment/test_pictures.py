"""Random changes of a sample keep its expressions right, and depend on nothing but the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from m3att.config import DataConfig, InputConfig
from m3att.data.augment.pictures import augmented, crop, jitter, mirror
from m3att.data.batch import Batch, BatchReader
from m3att.data.order import TrainingOrder
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.text import Tokenizer

QUICK = settings(max_examples=60, deadline=None)
PLAIN, PLACED = ("the dog", "a tall man", "whoever eats"), ("left dog", "the third man", "top")
ALL = DataConfig(flip=True, crop=0.3, jitter=0.5)


def sample_of(texts: tuple[str, ...], height: int = 40, width: int = 60, seed: int = 3) -> Sample:
    """An image without symmetry with two referents, which the texts name in turn."""
    chance = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        top, left = chance.integers(0, height - 6), chance.integers(0, width - 6)
        mask_HW = np.zeros((height, width), dtype=bool)
        mask_HW[top : top + chance.integers(1, 7), left : left + chance.integers(1, 7)] = True
        masks.append(mask_HW)
    image_HWC = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image_HWC[..., 0] = np.where(masks[0] | masks[1], 255, image_HWC[..., 0] // 2)  # marks the referents in the pixels
    return Sample(
        image_HWC=image_HWC,
        masks=tuple(masks),
        mask_index_N=tuple(number % 2 for number in range(len(texts))),
        expressions=texts,
        expression_ids=tuple(range(len(texts))),
        image_id=9,
        skills=((),) * len(texts),
        categories_HW=masks[0].astype(np.uint8) + 2 * masks[1].astype(np.uint8),
    )


def test_the_mirror_turns_pixels_masks_and_words() -> None:
    sample = sample_of(("left dog", "the dog right of it"))
    once = mirror(sample)
    assert once.expressions == ("right dog", "the dog left of it")
    assert np.array_equal(once.image_HWC, sample.image_HWC[:, ::-1])
    assert np.array_equal(once.masks_MHW, sample.masks_MHW[:, :, ::-1])
    assert sample.categories_HW is not None
    assert np.array_equal(once.categories_HW, sample.categories_HW[:, ::-1])
    twice = mirror(once)
    assert twice.expressions == sample.expressions and np.array_equal(twice.image_HWC, sample.image_HWC)


def test_an_image_of_which_one_expression_cannot_be_told_is_not_mirrored() -> None:
    sample = sample_of(("left dog", "dog right behind the man"))
    assert mirror(sample) is sample


@QUICK
@given(st.integers(0, 10**6), st.floats(0.05, 0.99), st.integers(7, 90), st.integers(7, 90), st.booleans())
def test_a_crop_keeps_its_referents_whole(seed: int, smallest: float, height: int, width: int, swap: bool) -> None:
    texts = (*PLAIN, *PLACED)[:: -1 if swap else 1]
    sample = sample_of(texts, height, width, seed)
    cut = crop(sample, smallest, np.random.default_rng(seed))
    if cut is sample:
        return
    assert set(cut.expressions) == set(PLAIN)
    high, wide = cut.image_HWC.shape[:2]
    assert (high, wide) != (height, width) and high <= height and wide <= width
    for number, text in enumerate(cut.expressions):
        at = sample.expressions.index(text)
        assert cut.expression_ids[number] == sample.expression_ids[at]
        before_HW, after_HW = (one.masks_MHW[one.mask_index_N[i]] for one, i in ((sample, at), (cut, number)))
        assert after_HW.sum() == before_HW.sum()  # none of it is cut off
        assert (cut.image_HWC[after_HW][:, 0] == 255).all()  # and it lies where its pixels do
    places = [
        (y, x)
        for y in range(height - high + 1)
        for x in range(width - wide + 1)
        if np.array_equal(sample.image_HWC[y : y + high, x : x + wide], cut.image_HWC)
    ]
    assert len(places) >= 1
    assert sample.categories_HW is not None and cut.categories_HW is not None
    assert any(np.array_equal(sample.categories_HW[y : y + high, x : x + wide], cut.categories_HW) for y, x in places)


def test_crops_reach_all_sides_and_sizes() -> None:
    sample = sample_of(("the dog",), 60, 80)
    sizes = [crop(sample, 0.2, np.random.default_rng(seed)).image_HWC.shape[:2] for seed in range(300)]
    shares = np.array([high * wide / (60 * 80) for high, wide in sizes])
    assert shares.min() < 0.3 and shares.max() > 0.9 and 0.5 < shares.mean() < 0.7


def test_an_image_whose_expressions_all_name_places_stays_whole() -> None:
    sample = sample_of(PLACED)
    assert crop(sample, 0.3, np.random.default_rng(0)) is sample


def test_expressions_that_name_nothing_stay_so_in_a_crop() -> None:
    sample = sample_of(("the dog",))
    empty = replace(sample, masks=tuple(np.zeros_like(mask) for mask in sample.masks))
    assert not crop(empty, 0.3, np.random.default_rng(1)).masks_MHW.any()


def test_boxes_stay_boxes_in_a_crop() -> None:
    sample = replace(sample_of((*PLAIN, *PLACED)), boxed=(False, True))
    cut = crop(sample.only([1, 3]), 0.3, np.random.default_rng(1))  # both are of the second mask
    assert cut.expressions == (PLAIN[1],) and cut.boxed == (True,) and len(cut.masks) == 1


@QUICK
@given(st.integers(0, 10**6), st.floats(0.01, 1))
def test_a_jitter_changes_light_alone(seed: int, strength: float) -> None:
    sample = sample_of(PLAIN)
    lit = jitter(sample, strength, np.random.default_rng(seed))
    assert lit.image_HWC.shape == sample.image_HWC.shape and lit.image_HWC.dtype == np.uint8
    assert (lit.masks, lit.expressions) == (sample.masks, sample.expressions)
    assert sample_of(PLAIN).image_HWC.tobytes() == sample.image_HWC.tobytes()  # the reader's image is not written to
    coloured = sample_of((*PLAIN, "the man in red"))
    assert jitter(coloured, strength, np.random.default_rng(seed)) is coloured


def test_a_stronger_jitter_changes_more() -> None:
    sample = sample_of(PLAIN)

    def change(strength: float) -> float:
        lit = [jitter(sample, strength, np.random.default_rng(seed)).image_HWC for seed in range(20)]
        return float(np.mean([np.abs(one.astype(int) - sample.image_HWC).mean() for one in lit]))

    assert 0 < change(0.05) < change(0.3) < change(0.9)


@QUICK
@given(st.integers(0, 2**62 - 1))
def test_a_change_depends_on_the_seed_alone_and_not_on_the_others(seed: int) -> None:
    sample = sample_of(PLAIN)
    one, other = augmented(sample, ALL, seed), augmented(sample, ALL, seed)
    assert one.image_HWC.tobytes() == other.image_HWC.tobytes() and one.expressions == other.expressions
    flipped = augmented(sample, DataConfig(flip=True), seed).image_HWC[0, 0].tolist() != sample.image_HWC[0, 0].tolist()
    both = augmented(sample, DataConfig(flip=True, jitter=0.01), seed)
    assert (np.abs(both.image_HWC.astype(int) - sample.image_HWC).mean() > 20) == flipped


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    sample = sample_of(PLAIN)
    assert augmented(sample, DataConfig(), 5) is sample


class Words(Source):
    """Images whose expressions name places, colours and neither."""

    pixels = "drawn"

    def __len__(self) -> int:
        return 6

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        return ((0, 2), (1, 3))

    def read(self, index: int, expressions: object = None) -> Sample:
        texts = ("the dog", "left dog", "dog in red" if index % 2 else "old dog", "the puppy")
        whole = sample_of(texts, seed=index)
        return whole.only(list(range(4)) if expressions is None else list(expressions))  # type: ignore[call-overload]

    def texts(self) -> Iterator[str]:
        return (text for index in range(6) for text in self.read(index).expressions)


def epoch(workers: int, data: DataConfig) -> list[Batch]:
    source = Words()
    reader = BatchReader(source, Tokenizer.from_texts(source.texts(), 8), InputConfig(size=32), data, training=True)
    order = TrainingOrder(source, 5, data, seed=4, epoch=1)
    return list(DataLoader(reader, sampler=order, batch_size=None, num_workers=workers))


@pytest.mark.parametrize("data", [ALL, DataConfig(crop=0.4), DataConfig(jitter=0.4)], ids=["all", "crop", "jitter"])
def test_batches_are_the_same_under_any_number_of_workers(data: DataConfig) -> None:
    alone, two = epoch(0, data), epoch(2, data)
    assert len(alone) == len(two) == 5
    for one, other in zip(alone, two, strict=True):
        assert one.ids == other.ids
        for name in ("pixels_BCHW", "masks_MHW", "word_ids_NL", "mask_index_N", "image_index_N"):
            assert getattr(one, name).equal(getattr(other, name))
    plain = epoch(0, DataConfig())
    assert any(not one.pixels_BCHW.equal(other.pixels_BCHW) for one, other in zip(alone, plain, strict=True))


def test_what_is_scored_is_never_changed() -> None:
    source = Words()
    tokenizer = Tokenizer.from_texts(source.texts(), 8)
    order = next(iter(TrainingOrder(source, 5, ALL, seed=4, epoch=1)))
    scored, plain = (
        BatchReader(source, tokenizer, InputConfig(size=32), data, training=False)[order]
        for data in (ALL, DataConfig())
    )
    assert scored.pixels_BCHW.equal(plain.pixels_BCHW) and scored.ids == plain.ids
