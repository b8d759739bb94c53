"""Turns samples into batches: reads, resizes and tokenizes, and counts what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from m3att.config import DataConfig, InputConfig
from m3att.data.augment.pictures import augmented
from m3att.data.faults import Fault
from m3att.data.order import Group, choose_positions
from m3att.data.sample import Sample
from m3att.data.source import UNKNOWN, Source, find_readable
from m3att.data.text import Tokenizer
from m3att.data.transforms import Resize
from m3att.errors import DataError, ImageError

PLAIN_LETTER = re.compile("[0-9A-Za-z]")
BLIND_WORD = "object"  # replaces every expression if `data.same_words` is set


@dataclass(frozen=True)
class Batch:
    """B images with N expressions.

    Args:
        pixels_BCHW: uint8 RGB at the network's input size.
        image_index_N: image of each expression.
        word_ids_NL: word ids.
        word_mask_NL: True = a real word.
        masks_MHW: uint8 coverage in [0, 255] at the input size, one for each different referent; none in evaluation,
            which compares at the images' own size.
        mask_index_N: number of the mask of each expression.
        boxed_M: whether a mask is only a filled box; see Sample.
        samples: the samples of the batch, for comparison at the images' own size; empty in training.
        resizes: how each image lies in its square.
        cut: expressions longer than the word limit.
        categories_BHW: uint8 map of categories at the input size, where the samples have one; see Source.
        groups: the groups of expressions that were read.
        faults: what could not be read.
        partly_unknown: expressions that hold unknown words beside others.
        unknown: expressions that hold no known word.
        has_boxes: whether any of `boxed_M` is True, known without asking the device.
        ids: of each image its id, and the ids of its expressions; see Sample.
        counts: False for a stand-in; see `stand_in`.
    """

    pixels_BCHW: Tensor
    image_index_N: Tensor
    word_ids_NL: Tensor
    word_mask_NL: Tensor
    masks_MHW: Tensor
    mask_index_N: Tensor
    boxed_M: Tensor
    samples: tuple[Sample, ...]
    resizes: tuple[Resize, ...]
    cut: int
    categories_BHW: Tensor | None = None
    groups: tuple[Group, ...] = ()
    faults: tuple[Fault, ...] = ()
    partly_unknown: int = 0
    unknown: int = 0
    has_boxes: bool = False
    ids: tuple[tuple[int, tuple[int, ...]], ...] = ()
    counts: bool = True

    def stand_in(self) -> Batch:
        """For an empty batch: a black image with one expression of one word, which no loss counts.

        A process of several that has no part of a batch takes it, because the others wait for it in each step.
        """
        size = self.pixels_BCHW.shape[2:]
        first, mask = torch.zeros(1, dtype=torch.int64), torch.ones((1, 1), dtype=torch.bool)
        return replace(
            self,
            pixels_BCHW=torch.zeros((1, 3, *size), dtype=torch.uint8),
            image_index_N=first,
            word_ids_NL=first.unsqueeze(0),
            word_mask_NL=mask,
            masks_MHW=torch.zeros((1, *size), dtype=torch.uint8),
            mask_index_N=first,
            boxed_M=torch.zeros(1, dtype=torch.bool),
            categories_BHW=torch.full((1, *size), UNKNOWN, dtype=torch.uint8),
            counts=False,
        )

    def to(self, device: torch.device) -> Batch:
        """The batch with its tensors on a device."""
        return replace(
            self,
            pixels_BCHW=self.pixels_BCHW.to(device, non_blocking=True),
            image_index_N=self.image_index_N.to(device, non_blocking=True),
            word_ids_NL=self.word_ids_NL.to(device, non_blocking=True),
            word_mask_NL=self.word_mask_NL.to(device, non_blocking=True),
            masks_MHW=self.masks_MHW.to(device, non_blocking=True),
            mask_index_N=self.mask_index_N.to(device, non_blocking=True),
            boxed_M=self.boxed_M.to(device, non_blocking=True),
            categories_BHW=None if self.categories_BHW is None else self.categories_BHW.to(device, non_blocking=True),
        )


def make_batch(samples: Sequence[Sample], tokenizer: Tokenizer, inputs: InputConfig, keep_samples: bool) -> Batch:
    """Samples as tensors.

    Args:
        samples: B images with their expressions; B may be 0, where none of a batch could be read.
        tokenizer: turns words to ids.
        inputs: size and resize of the network's input.
        keep_samples: keep the originals, for evaluation, and make no masks at the input size.
    """
    if not samples:
        square, none = (0, inputs.size, inputs.size), torch.empty(0, dtype=torch.int64)
        words_NL, mask_NL = torch.empty((0, 1), dtype=torch.int64), torch.empty((0, 1), dtype=torch.bool)
        pixels_BCHW = torch.empty((0, 3, inputs.size, inputs.size), dtype=torch.uint8)
        masks_MHW, boxed_M = torch.empty(square, dtype=torch.uint8), torch.empty(0, dtype=torch.bool)
        return Batch(pixels_BCHW, none, words_NL, mask_NL, masks_MHW, none, boxed_M, (), (), 0)
    resizes = tuple(
        Resize(sample.image_HWC.shape[0], sample.image_HWC.shape[1], inputs.size, inputs.resize) for sample in samples
    )
    pixels = [to_pixels(resize.image(sample.image_HWC)) for resize, sample in zip(resizes, samples, strict=True)]
    masks: list[NDArray[np.uint8]] = []
    image_index: list[int] = []
    mask_index: list[int] = []
    count = 0
    for number, (resize, sample) in enumerate(zip(resizes, samples, strict=True)):
        mask_index += [count + row for row in sample.mask_index_N]
        image_index += [number] * len(sample.expressions)
        if not keep_samples:
            masks.append(resize.masks(sample.masks))
        count += len(sample.masks)
    categories = [
        resize.categories(sample.categories_HW)
        for resize, sample in zip(resizes, samples, strict=True)
        if sample.categories_HW is not None
    ]
    words = tokenizer([text for sample in samples for text in sample.expressions])
    return Batch(
        torch.stack(pixels),
        torch.tensor(image_index),
        words.word_ids_NL,
        words.word_mask_NL,
        torch.from_numpy(np.concatenate(masks) if masks else np.empty((0, inputs.size, inputs.size), np.uint8)),
        torch.tensor(mask_index),
        torch.tensor([boxed for sample in samples for boxed in sample.boxed_M], dtype=torch.bool),
        tuple(samples) if keep_samples else (),
        resizes,
        words.cut,
        torch.from_numpy(np.stack(categories)) if categories else None,
        partly_unknown=words.partly_unknown,
        unknown=words.unknown,
        has_boxes=any(any(sample.boxed) for sample in samples),
        ids=tuple((sample.image_id, sample.expression_ids) for sample in samples),
    )


def to_pixels(image_HWC: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) uint8."""
    planes_CHW = np.empty((3, *image_HWC.shape[:2]), dtype=np.uint8)
    cv2.split(image_HWC, list(planes_CHW))  # faster than a transposed copy
    return torch.from_numpy(planes_CHW)


class BatchReader(Dataset[Batch]):
    """Reads the batch that a list of groups describes. It runs in the worker processes.

    Args:
        source: where images come from.
        tokenizer: turns words to ids.
        inputs: the network's input.
        data: random changes in training, and blindness.
        training: whether images are changed at random and originals are dropped.
        categories: read the maps of categories too.
    """

    def __init__(
        self,
        source: Source,
        tokenizer: Tokenizer,
        inputs: InputConfig,
        data: DataConfig,
        training: bool,
        categories: bool = False,
    ) -> None:
        self.source, self.tokenizer, self.inputs, self.data, self.training = source, tokenizer, inputs, data, training
        self.categories = categories

    def __getitem__(self, groups: Sequence[Group]) -> Batch:
        samples: list[Sample] = []
        held: list[Group] = []
        faults: list[Fault] = []
        for group in groups:
            kept, found = self.readable(group)
            faults += found
            if kept is not None:
                held.append(kept[0])
                samples.append(augmented(kept[1], self.data, group.seed) if self.training else kept[1])
        batch = make_batch(samples, self.tokenizer, self.inputs, not self.training)
        return replace(batch, groups=tuple(held), faults=tuple(faults))

    def readable(self, group: Group) -> tuple[tuple[Group, Sample] | None, tuple[Fault, ...]]:
        """The readable and the unreadable part of a group, which depend only on the group and the files."""
        faults: tuple[Fault, ...] = ()
        try:
            sample = self.sample(group)
        except (DataError, ImageError) as error:
            good, faults = find_readable(self.source, group.image, self.positions(group), error)
            if not good:
                return None, faults
            group = replace(group, positions=good)
            sample = self.sample(group)
        # Letters and digits are words for every tokenizer; only texts without any must be checked.
        wordless = [
            number
            for number, text in enumerate(sample.expressions)
            if not PLAIN_LETTER.search(text) and self.tokenizer.count_words(text) == 0
        ]
        if wordless:
            positions = self.positions(group)
            for number in wordless:
                reason = f"image {sample.image_id}: expression {sample.expressions[number]!r} holds no word"
                faults += (Fault(reason, group.image, (positions[number],)),)
            good = tuple(at for number, at in enumerate(positions) if number not in wordless)
            if not good:
                return None, faults
            group = replace(group, positions=good)
            sample = self.sample(group)
        return (group, sample), faults

    def positions(self, group: Group) -> tuple[int, ...]:
        """The group's positions, chosen by its seed where they are left to it."""
        if group.positions is not None:
            return group.positions
        chance = np.random.default_rng(group.seed)
        chosen = choose_positions(self.source.expression_groups(group.image), self.data.sentences, chance)
        return tuple(sorted(chosen[: group.limit]))

    def sample(self, group: Group) -> Sample:
        """One image with the expressions of a group, all with the same words if the settings say so."""
        sample = self.source.read(group.image, self.positions(group))
        if self.categories:
            sample = replace(sample, categories_HW=self.source.read_categories(group.image))
        if self.data.same_words:
            sample = replace(sample, expressions=(BLIND_WORD,) * len(sample.expressions))
        return sample
