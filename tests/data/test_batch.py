"""Batches: what stands in them, whoever reads them."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings
from torch.utils.data import DataLoader

from m3att.config import DataConfig, InputConfig
from m3att.data.batch import BLIND_WORD, Batch, BatchReader, make_batch, to_pixels
from m3att.data.order import EndlessOrder, Group, TrainingOrder
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.text import Tokenizer

from .counted import CountedSource

INPUTS = InputConfig(size=16, resize="letterbox")
TOKENIZER = Tokenizer.from_texts(["image zero one two three left right object"], word_limit=6)
QUICK = settings(max_examples=60, deadline=None)


def test_pixels_are_channels_first() -> None:
    image_HWC = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    pixels_CHW = to_pixels(image_HWC[:, ::-1])  # a view with a negative stride, which torch cannot hold
    assert pixels_CHW.shape == (3, 2, 4) and pixels_CHW.dtype == torch.uint8
    assert pixels_CHW[1, 0].tolist() == [10, 7, 4, 1]


def test_a_batch_s_indices_lead_to_the_right_image_and_mask() -> None:
    source = CountedSource([[2, 1], [1], [1, 1, 3]])
    samples = [source.read(0, (2, 0, 1)), source.read(1), source.read(2, (4, 1, 2))]
    batch = make_batch(samples, TOKENIZER, INPUTS, keep_samples=False)
    assert batch.image_index_N.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert batch.mask_index_N.tolist() == [0, 1, 1, 2, 3, 4, 3]
    assert batch.pixels_BCHW.shape == (3, 3, 16, 16) and batch.pixels_BCHW.dtype == torch.uint8
    assert batch.masks_MHW.shape == (5, 16, 16) and batch.masks_MHW.dtype == torch.uint8
    kept = make_batch(samples, TOKENIZER, INPUTS, keep_samples=True)
    assert kept.samples == tuple(samples)
    assert kept.masks_MHW.shape == (0, 16, 16)  # evaluation compares at the images' own size
    assert torch.equal(kept.pixels_BCHW, batch.pixels_BCHW)
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
    assert len(tensors) == 7 and all(value.device.type == "meta" for value in tensors)
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
    tokenizer = Tokenizer.from_texts([*source.texts(), "right"], 8)
    left, right = (tokenizer([f"image 0 0 {side}"]).word_ids_NL.tolist()[0] for side in ("left", "right"))
    training, scoring = (
        [BatchReader(source, tokenizer, INPUTS, data, is_training)[[group]].word_ids_NL.tolist()[0] for group in groups]
        for is_training in (True, False)
    )
    assert training.count(left) + training.count(right) == 200 and 70 < training.count(right) < 130
    assert scoring == [left] * 200


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
        order = list(EndlessOrder(8, 4, 1, 5, seed=0) if endless else TrainingOrder(source, 9, data, 2, 1))
        runs = [list(DataLoader(reader, sampler=order, batch_size=None, num_workers=workers)) for workers in (0, 2)]
    finally:
        cv2.setNumThreads(threads)
    assert len(runs[0]) == len(runs[1]) == len(order) > 2
    for alone, shared in zip(*runs, strict=True):
        for field in fields(Batch):
            one, other = getattr(alone, field.name), getattr(shared, field.name)
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
