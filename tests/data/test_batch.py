"""Batches: what stands in them, in which order, and that only seed and epoch decide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from m3att.config import DataConfig, InputConfig
from m3att.data.batch import (
    BLIND_WORD,
    Batch,
    BatchReader,
    EndlessOrder,
    Group,
    TrainingOrder,
    choose_positions,
    evaluation_batches,
    make_batch,
)
from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.text import Tokenizer

Groups = tuple[tuple[int, ...], ...]
INPUTS = InputConfig(size=16, resize="letterbox")
TOKENIZER = Tokenizer.from_texts(["image zero one two three left right object"], word_limit=6)
QUICK = settings(max_examples=60, deadline=None)


class CountedSource:
    """Images with as many referents and expressions as the test says; expression p of image i says "image i p"."""

    def __init__(self, images: Sequence[Sequence[int]]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def expression_groups(self, index: int) -> Groups:
        ends = np.cumsum([0, *self.images[index]]).tolist()
        return tuple(tuple(range(start, end)) for start, end in pairwise(ends))

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        groups = self.expression_groups(index)
        referent_of = {at: number for number, group in enumerate(groups) for at in group}
        positions = list(referent_of) if expressions is None else list(expressions)
        referents = list(dict.fromkeys(referent_of[at] for at in positions))
        height, width = 12 + index, 20
        masks_MHW = np.zeros((len(referents), height, width), dtype=bool)
        for row, referent in enumerate(referents):
            masks_MHW[row, :, referent : referent + 2] = True
        return Sample(
            image_HWC=np.full((height, width, 3), 10 * index, dtype=np.uint8),
            masks_MHW=masks_MHW,
            mask_index_N=tuple(referents.index(referent_of[at]) for at in positions),
            expressions=tuple(f"image {index} {at} left" for at in positions),
            expression_ids=tuple(100 * index + at for at in positions),
            image_id=index,
            skills=((),) * len(positions),
        )

    def texts(self) -> Iterator[str]:
        return (text for index in range(len(self)) for text in self.read(index).expressions)


IMAGES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=12)
SIZES = st.integers(1, 17)
SEEDS = st.integers(0, 2**40)


def all_of(source: CountedSource) -> list[tuple[int, int]]:
    return [(index, at) for index in range(len(source)) for group in source.expression_groups(index) for at in group]


def in_batch(batch: Sequence[Group]) -> list[tuple[int, int]]:
    return [(group.image, at) for group in batch for at in group.positions or ()]


@QUICK
@given(IMAGES, SIZES, st.integers(1, 6), st.booleans(), SEEDS, st.integers(0, 50))
def test_an_epoch_holds_every_expression_once(
    images: list[list[int]], batch_size: int, per_image: int, grouped: bool, seed: int, epoch: int
) -> None:
    source = CountedSource(images)
    order = TrainingOrder(source, batch_size, DataConfig(grouped=grouped, per_image=per_image), seed, epoch)
    batches = list(order)
    assert len(order) == len(batches)
    assert sorted(pair for batch in batches for pair in in_batch(batch)) == all_of(source)
    assert all(len(in_batch(batch)) == batch_size for batch in batches[:-1])
    assert 1 <= len(in_batch(batches[-1])) <= batch_size
    assert all(group.limit == len(group.positions or ()) <= per_image for batch in batches for group in batch)


@QUICK
@given(IMAGES, SIZES, SEEDS, st.integers(0, 50), st.sampled_from(["one", "all"]))
def test_the_order_is_a_function_of_seed_and_epoch(
    images: list[list[int]], batch_size: int, seed: int, epoch: int, sentences: str
) -> None:
    data = DataConfig(sentences=sentences)  # type: ignore[arg-type]
    source = CountedSource(images)
    np.random.seed(1)
    first = list(TrainingOrder(source, batch_size, data, seed, epoch))
    np.random.seed(2)
    torch.manual_seed(3)
    assert list(TrainingOrder(source, batch_size, data, seed, epoch)) == first


def test_epochs_and_seeds_differ() -> None:
    source = CountedSource([[3, 3]] * 20)
    orders = [list(TrainingOrder(source, 8, DataConfig(), seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert all(orders[a] != orders[b] for a in range(4) for b in range(a))
    seeds = [group.seed for batch in orders[0] for group in batch]
    assert len(set(seeds)) > len(seeds) // 2


def test_grouped_puts_an_image_s_expressions_together_and_ungrouped_does_not() -> None:
    source = CountedSource([[2, 2]] * 50)
    together = list(TrainingOrder(source, 40, DataConfig(grouped=True, per_image=8), 0, 0))
    apart = list(TrainingOrder(source, 40, DataConfig(grouped=False, per_image=8), 0, 0))
    # 40 expressions are those of 10 images.
    assert [len({group.image for group in batch}) for batch in together] == [10] * 5
    assert all(len(group.positions or ()) == 1 for batch in apart for group in batch)
    assert min(len({group.image for group in batch}) for batch in apart) > 20


def test_an_image_with_many_expressions_is_cut_into_pieces_of_per_image() -> None:
    order = TrainingOrder(CountedSource([[20]]), 6, DataConfig(per_image=8), 0, 0)
    assert sorted(len(positions) for _, positions, _ in order.groups) == [4, 8, 8]
    assert [len(in_batch(batch)) for batch in order] == [6, 6, 6, 2]


def test_a_piece_that_goes_on_in_the_next_batch_keeps_its_chance() -> None:
    first, second = TrainingOrder(CountedSource([[6]]), 4, DataConfig(per_image=8), 0, 0)
    assert first[0].seed == second[0].seed  # mirrored in both or in none


def test_one_sentence_a_referent_is_drawn_anew_each_epoch() -> None:
    source = CountedSource([[5, 1, 3]] * 30)
    drawn = []
    for epoch in range(6):
        pairs = [
            p for batch in TrainingOrder(source, 7, DataConfig(sentences="one"), 0, epoch) for p in in_batch(batch)
        ]
        assert len(pairs) == 90
        referents = Counter((image, 0 if at < 5 else 1 if at == 5 else 2) for image, at in pairs)
        assert set(referents.values()) == {1} and len(referents) == 90
        drawn.append({at for image, at in pairs if image == 0})
    assert len({frozenset(chosen) for chosen in drawn}) > 1
    assert {at for chosen in drawn for at in chosen} > {5}


@QUICK
@given(IMAGES, st.integers(1, 20), SIZES)
def test_only_the_first_images_where_the_settings_say_so(images: list[list[int]], bound: int, batch_size: int) -> None:
    source = CountedSource(images)
    expected = [pair for pair in all_of(source) if pair[0] < bound]
    training = TrainingOrder(source, batch_size, DataConfig(images=bound), 0, 0)
    assert sorted(pair for batch in training for pair in in_batch(batch)) == expected
    assert [pair for batch in evaluation_batches(source, batch_size, bound) for pair in in_batch(batch)] == expected


@QUICK
@given(IMAGES, SIZES)
def test_evaluation_covers_everything_once_and_in_order(images: list[list[int]], batch_size: int) -> None:
    source = CountedSource(images)
    batches = evaluation_batches(source, batch_size)
    assert [pair for batch in batches for pair in in_batch(batch)] == all_of(source)
    assert all(1 <= len(in_batch(batch)) <= batch_size for batch in batches)
    for index in range(len(source)):
        pieces = sum(group.image == index for batch in batches for group in batch)
        assert pieces == -(-sum(images[index]) // batch_size)  # an image is cut only where it does not fit at all


@QUICK
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 500), st.integers(1, 6), SEEDS)
def test_an_endless_order_goes_on_where_it_stopped(
    batch_size: int, per_image: int, start: int, count: int, seed: int
) -> None:
    whole = list(EndlessOrder(batch_size, per_image, start, start + count + 3, seed))
    order = EndlessOrder(batch_size, per_image, start, start + count, seed)
    later = EndlessOrder(batch_size, per_image, start + count, start + count + 3, seed)
    assert [*order, *later] == whole
    assert (len(order), len(later)) == (count, 3)
    images = [group.image for batch in whole for group in batch]
    assert images == list(range(images[0], images[0] + len(images)))  # no image twice, none left out
    assert images[0] == start * max(1, batch_size // per_image)
    assert all(group.positions is None and group.limit == per_image for batch in whole for group in batch)


def test_a_batch_s_indices_lead_to_the_right_image_and_mask() -> None:
    source = CountedSource([[2, 1], [1], [1, 1, 3]])
    samples = [source.read(0, (2, 0, 1)), source.read(1), source.read(2, (4, 1, 2))]
    batch = make_batch(samples, TOKENIZER, INPUTS, keep_samples=True)
    assert batch.image_index_N.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert batch.mask_index_N.tolist() == [0, 1, 1, 2, 3, 4, 3]
    assert batch.pixels_BCHW.shape == (3, 3, 16, 16) and batch.pixels_BCHW.dtype == torch.uint8
    assert batch.masks_MHW.shape == (5, 16, 16) and batch.masks_MHW.dtype == torch.uint8
    assert batch.samples == tuple(samples)
    assert [(resize.height, resize.width) for resize in batch.resizes] == [(12, 20), (13, 20), (14, 20)]
    texts = [text for sample in samples for text in sample.expressions]
    words = TOKENIZER(texts)
    assert torch.equal(batch.word_ids_NL, words.word_ids_NL)
    assert torch.equal(batch.word_mask_NL, words.word_mask_NL)
    number = 0
    for b, (sample, resize) in enumerate(zip(samples, batch.resizes, strict=True)):
        placed_HWC = resize.image(sample.image_HWC)
        assert np.array_equal(batch.pixels_BCHW[b].numpy(), placed_HWC.transpose(2, 0, 1))
        for row in sample.mask_index_N:
            mask_HW = batch.masks_MHW[batch.mask_index_N[number]].numpy()
            assert np.array_equal(mask_HW, resize.mask(sample.masks_MHW[row]))
            number += 1


def test_a_training_batch_keeps_no_originals_and_counts_cuts() -> None:
    source = CountedSource([[1], [1]])
    long = replace(source.read(0), expressions=("image " * 9,))
    batch = make_batch([long, source.read(1)], TOKENIZER, INPUTS, keep_samples=False)
    assert batch.samples == () and len(batch.resizes) == 2
    assert batch.cut == 1


def test_moving_a_batch_moves_all_its_tensors() -> None:
    batch = make_batch([CountedSource([[2]]).read(0)], TOKENIZER, INPUTS, keep_samples=True)
    moved = batch.to(torch.device("meta"))
    tensors = [getattr(moved, field.name) for field in fields(Batch)]
    tensors = [value for value in tensors if isinstance(value, torch.Tensor)]
    assert len(tensors) == 6 and all(value.device.type == "meta" for value in tensors)
    assert moved.samples == batch.samples


def test_one_and_the_same_word_for_every_expression() -> None:
    source = CountedSource([[2, 1], [4]])
    for training in (True, False):
        reader = BatchReader(source, TOKENIZER, INPUTS, DataConfig(same_words=True), training)
        batch = reader[[Group(0, (0, 2), 2, 5), Group(1, None, 3, 6)]]
        assert batch.word_ids_NL.tolist() == [[TOKENIZER.tokenizer.token_to_id(BLIND_WORD)]] * 5
        assert batch.mask_index_N.tolist() == [0, 1, 2, 2, 2]


def test_a_group_without_positions_draws_at_most_its_limit() -> None:
    source = CountedSource([[3, 4, 2]])
    reader = BatchReader(source, TOKENIZER, INPUTS, DataConfig(), training=True)
    samples = [reader.sample(Group(0, None, 5, seed)) for seed in range(40)]
    assert all(len(set(sample.expression_ids)) == 5 for sample in samples)
    assert all(list(sample.expression_ids) == sorted(sample.expression_ids) for sample in samples)
    assert {number for sample in samples for number in sample.expression_ids} == set(range(9))
    assert reader.sample(Group(0, None, 5, 7)).expression_ids == samples[7].expression_ids
    assert len(reader.sample(Group(0, None, 50, 1)).expressions) == 9


def test_one_sentence_a_referent_holds_for_drawn_images_too() -> None:
    source = CountedSource([[3, 4, 2]])
    reader = BatchReader(source, TOKENIZER, INPUTS, DataConfig(sentences="one"), training=True)
    samples = [reader.sample(Group(0, None, 8, seed)) for seed in range(20)]
    assert all(sample.mask_index_N == (0, 1, 2) for sample in samples)
    assert len({sample.expression_ids for sample in samples}) > 5


def test_mirroring_is_half_of_training_and_none_of_evaluation() -> None:
    source = CountedSource([[2]])
    data = DataConfig(flip=True)
    groups = [Group(0, (0, 1), 2, seed) for seed in range(200)]
    training = [BatchReader(source, TOKENIZER, INPUTS, data, True).sample(group).expressions[0] for group in groups]
    assert set(training) == {"image 0 0 left", "image 0 0 right"}
    assert 70 < training.count("image 0 0 right") < 130
    scoring = [BatchReader(source, TOKENIZER, INPUTS, data, False).sample(group).expressions[0] for group in groups]
    assert set(scoring) == {"image 0 0 left"}


def test_choosing_all_is_a_permutation_and_one_is_one_of_each() -> None:
    groups: Groups = ((0, 1), (2,), (3, 4, 5))
    assert sorted(choose_positions(groups, "all", np.random.default_rng(0))) == [0, 1, 2, 3, 4, 5]
    chosen = sorted(choose_positions(groups, "one", np.random.default_rng(0)))
    assert all(at in group for at, group in zip(chosen, groups, strict=True))


@pytest.mark.parametrize("endless", [False, True])
def test_the_number_of_reading_processes_changes_nothing(endless: bool) -> None:
    """The fork of a process whose OpenCV has started threads would hang, so they are switched off as in training."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        source = ShapeRefSource("shaperef", "train", 12, seed=3, size=64)
        tokenizer = Tokenizer.from_texts(source.texts(), word_limit=8)
        data = DataConfig(flip=True, per_image=4)
        reader = BatchReader(source, tokenizer, InputConfig(size=32, resize="stretch"), data, training=True)
        order = list(EndlessOrder(8, 4, 1, 5, seed=2) if endless else TrainingOrder(source, 9, data, 2, 1))
        runs = [list(DataLoader(reader, sampler=order, batch_size=None, num_workers=workers)) for workers in (0, 2)]
    finally:
        cv2.setNumThreads(threads)
    assert len(runs[0]) == len(runs[1]) == len(order) > 2
    for alone, shared in zip(*runs, strict=True):
        for field in fields(Batch):
            one, other = getattr(alone, field.name), getattr(shared, field.name)
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
