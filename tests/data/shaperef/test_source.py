"""ShapeRef as a source: the same sample whenever it is read, and by whom."""

from __future__ import annotations

import pickle
from itertools import islice

import numpy as np
import pytest

from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import HELD_OUT, SKILLS, SPLITS, VARIANTS
from m3att.data.source import Source
from m3att.errors import DataError


def assert_same(one: Sample, other: Sample) -> None:
    assert np.array_equal(one.image_HWC, other.image_HWC)
    assert np.array_equal(one.masks_MHW, other.masks_MHW)
    for name in ("mask_index_N", "expressions", "expression_ids", "image_id", "skills"):
        assert getattr(one, name) == getattr(other, name)


def test_reading_is_a_function_of_the_arguments() -> None:
    source: Source = ShapeRefSource("shaperef", "train", 10**9, seed=3)
    first = source.read(123_456_789)
    for index in range(30):  # pushes the first out of what is kept
        source.read(index)
    assert_same(first, source.read(123_456_789))
    assert_same(first, ShapeRefSource("shaperef", "train", 10**9, seed=3).read(123_456_789))
    assert_same(first, pickle.loads(pickle.dumps(source)).read(123_456_789))
    assert not np.array_equal(
        first.image_HWC, ShapeRefSource("shaperef", "train", 10**9, seed=4).read(123_456_789).image_HWC
    )


def test_what_a_reader_does_to_a_sample_stays_with_it() -> None:
    source = ShapeRefSource("shaperef", "val", 5)
    first = source.read(0)
    kept = first.image_HWC.copy()
    first.image_HWC[:] = 0
    first.masks_MHW[:] = False
    again = source.read(0)
    assert np.array_equal(again.image_HWC, kept)
    assert again.masks_MHW.any()


def test_pickle_is_light() -> None:
    source = ShapeRefSource("shaperefg", "train", 10**9)
    source.read(0)
    assert len(pickle.dumps(source)) < 500


def test_variants_share_the_scene_and_not_the_words() -> None:
    samples = [ShapeRefSource(variant, "val", 10).read(4) for variant in VARIANTS]
    for sample in samples[1:]:
        assert np.array_equal(sample.image_HWC, samples[0].image_HWC)
        assert sample.expressions != samples[0].expressions


def test_splits_differ() -> None:
    images = {ShapeRefSource("shaperef", split, 10).read(0).image_HWC.tobytes() for split in SPLITS}
    assert len(images) == len(SPLITS)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("split", SPLITS)
def test_groups_and_masks(variant: str, split: str) -> None:
    source = ShapeRefSource(variant, split, 40)
    ids: list[int] = []
    for index in range(len(source)):
        groups = source.expression_groups(index)
        whole = source.read(index)
        ids += whole.expression_ids
        assert [position for group in groups for position in group] == list(range(len(whole.expressions)))
        assert source.expression_count(index) == len(whole.expressions) > 0
        assert all(whole.mask_index_N[position] == number for number, group in enumerate(groups) for position in group)
        assert set(skill for skills in whole.skills for skill in skills) <= set(SKILLS)
        last = groups[-1][-1]
        part = source.read(index, [last])
        assert part.expressions == (whole.expressions[last],)
        assert part.expression_ids == (whole.expression_ids[last],)
        assert part.mask_index_N == (0,)
        assert np.array_equal(part.masks_MHW[0], whole.masks_MHW[whole.mask_index_N[last]])
    assert len(set(ids)) == len(ids)


def test_referents_of_testb_are_new() -> None:
    source = ShapeRefSource("shaperef+", "testB", 30)
    for index in range(30):
        scene, descriptions = source.described(index)
        for description in descriptions:
            thing = scene.facts.objects[description.object_index]
            assert (thing.kind, thing.colour) in HELD_OUT


def test_texts_end() -> None:
    source = ShapeRefSource("shaperef", "val", 3)
    assert list(source.texts()) == [text for index in range(3) for text in source.read(index).expressions]
    endless = ShapeRefSource("shaperef", "train", 10**9)
    assert len(list(islice(endless.texts(), 20))) == 20


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("shapes", "train", 5), "shapes"),
        (("shaperef", "testC", 5), "testC"),
        (("shaperef", "train", 0), "0 images"),
        (("shaperef", "train", 5, -1), "seed"),
        (("shaperef", "train", 5, 0, 8), "8 pixels"),
    ],
)
def test_what_there_is_not(arguments: tuple[str, str, int], named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        ShapeRefSource(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [-1, 5])
def test_no_such_image(index: int) -> None:
    with pytest.raises(IndexError, match="5 images"):
        ShapeRefSource("shaperef", "val", 5).read(index)
