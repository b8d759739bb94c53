"""Samples to batches: counted in expressions, grouped by image, in an order that only the seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from m3att.config import DataConfig, InputConfig
from m3att.data.faults import Fault, find_readable
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.data.transforms import Resize, mirror, to_pixels
from m3att.errors import DataError, ImageError

BLIND_WORD = "object"  # what every expression becomes for a network that is to be blind to language


@dataclass(frozen=True)
class Group:
    """Expressions of one image that stand in one batch.

    Args:
        image: number of the image in its source.
        positions: which of its expressions; None: any, at most ``limit`` of them.
        limit: most expressions, where positions are not given.
        seed: decides what is left to chance: mirroring, and the choice where positions are not given.
    """

    image: int
    positions: tuple[int, ...] | None
    limit: int
    seed: int


@dataclass(frozen=True)
class Batch:
    """B images with N expressions.

    Args:
        pixels_BCHW: uint8 RGB at the network's input size.
        image_index_N: image of each expression.
        word_ids_NL: word ids.
        word_mask_NL: True = a real word.
        masks_MHW: uint8 coverage in [0, 255] at the input size, one a distinct referent.
        mask_index_N: row of ``masks_MHW`` of each expression.
        samples: what the batch was made of, for comparison at the images' own size; empty in training.
        resizes: where each image lies in its square.
        cut: expressions longer than the word limit.
        categories_BHW: uint8 map of categories at the input size, where the samples have one; see Source.
        groups: what it holds; without what could not be read.
        faults: what could not be read.
    """

    pixels_BCHW: Tensor
    image_index_N: Tensor
    word_ids_NL: Tensor
    word_mask_NL: Tensor
    masks_MHW: Tensor
    mask_index_N: Tensor
    samples: tuple[Sample, ...]
    resizes: tuple[Resize, ...]
    cut: int
    categories_BHW: Tensor | None = None
    groups: tuple[Group, ...] = ()
    faults: tuple[Fault, ...] = ()

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
            categories_BHW=None if self.categories_BHW is None else self.categories_BHW.to(device, non_blocking=True),
        )


def make_batch(samples: Sequence[Sample], tokenizer: Tokenizer, inputs: InputConfig, keep_samples: bool) -> Batch:
    """Samples as tensors.

    Args:
        samples: B images with their expressions; B may be 0, where none of a batch could be read.
        tokenizer: turns words to ids.
        inputs: size and resize of the network's input.
        keep_samples: keep the originals, for evaluation.
    """
    if not samples:
        square, none = (0, inputs.size, inputs.size), torch.empty(0, dtype=torch.int64)
        words_NL, mask_NL = torch.empty((0, 1), dtype=torch.int64), torch.empty((0, 1), dtype=torch.bool)
        pixels_BCHW = torch.empty((0, 3, inputs.size, inputs.size), dtype=torch.uint8)
        return Batch(pixels_BCHW, none, words_NL, mask_NL, torch.empty(square, dtype=torch.uint8), none, (), (), 0)
    resizes = tuple(
        Resize(sample.image_HWC.shape[0], sample.image_HWC.shape[1], inputs.size, inputs.resize) for sample in samples
    )
    pixels = [to_pixels(resize.image(sample.image_HWC)) for resize, sample in zip(resizes, samples, strict=True)]
    masks: list[NDArray[np.uint8]] = []
    image_index: list[int] = []
    mask_index: list[int] = []
    for number, (resize, sample) in enumerate(zip(resizes, samples, strict=True)):
        mask_index += [len(masks) + row for row in sample.mask_index_N]
        image_index += [number] * len(sample.expressions)
        masks += [resize.mask(mask_HW) for mask_HW in sample.masks_MHW]
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
        torch.from_numpy(np.stack(masks)),
        torch.tensor(mask_index),
        tuple(samples) if keep_samples else (),
        resizes,
        words.cut,
        torch.from_numpy(np.stack(categories)) if categories else None,
    )


class BatchReader(Dataset[Batch]):
    """Reads the batch that a list of groups describes; lives in the worker processes.

    Args:
        source: where images come from.
        tokenizer: turns words to ids.
        inputs: the network's input.
        data: mirroring and blindness.
        training: whether mirroring applies and originals are dropped.
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
                samples.append(kept[1])
        batch = make_batch(samples, self.tokenizer, self.inputs, not self.training)
        return replace(batch, groups=tuple(held), faults=tuple(faults))

    def readable(self, group: Group) -> tuple[tuple[Group, Sample] | None, tuple[Fault, ...]]:
        """What of a group can be read, and what of it cannot: a pure function of the group and the files."""
        faults: tuple[Fault, ...] = ()
        try:
            sample = self.sample(group)
        except (DataError, ImageError) as error:
            good, faults = find_readable(self.source, group.image, self.positions(group), error)
            if not good:
                return None, faults
            group = replace(group, positions=good)
            sample = self.sample(group)
        # Letters and digits are words to every tokenizer; only what has none needs a look.
        wordless = [
            number
            for number, text in enumerate(sample.expressions)
            if not any(map(str.isalnum, text)) and self.tokenizer.count_words(text) == 0
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
        """One image with the group's expressions, mirrored or blinded where the settings say so."""
        chance = np.random.default_rng(group.seed)
        positions = group.positions
        if positions is None:
            chosen = choose_positions(self.source.expression_groups(group.image), self.data.sentences, chance)
            positions = tuple(sorted(chosen[: group.limit]))
        sample = self.source.read(group.image, positions)
        if self.categories:
            sample = replace(sample, categories_HW=self.source.read_categories(group.image))
        if self.training and self.data.flip and chance.random() < 0.5:
            sample = mirror(sample)
        if self.data.same_words:
            sample = replace(sample, expressions=(BLIND_WORD,) * len(sample.expressions))
        return sample


class TrainingOrder(Sampler[list[Group]]):
    """The batches of one epoch, a pure function of seed and epoch.

    Every batch but the last holds exactly ``batch_size`` expressions; one image's expressions are cut into pieces of at
    most ``per_image``, and a piece that does not fit goes on in the next batch.

    Args:
        source: where images come from.
        batch_size: expressions a batch.
        data: sentences, grouping and pieces.
        seed: of the run.
        epoch: number of the epoch.
    """

    def __init__(self, source: Source, batch_size: int, data: DataConfig, seed: int, epoch: int) -> None:
        self.batch_size = batch_size
        chance = np.random.default_rng([seed, epoch])
        pieces: list[tuple[int, tuple[int, ...]]] = []
        images = len(source) if data.images is None else min(data.images, len(source))
        for image in range(images):
            positions = choose_positions(source.expression_groups(image), data.sentences, chance)
            step = data.per_image if data.grouped else 1
            pieces += [(image, tuple(positions[at : at + step])) for at in range(0, len(positions), step)]
        order = chance.permutation(len(pieces))
        self.groups = [(*pieces[number], int(chance.integers(2**62))) for number in order]

    def __iter__(self) -> Iterator[list[Group]]:
        batch: list[Group] = []
        room = self.batch_size
        for image, positions, seed in self.groups:
            while positions:
                taken, positions = positions[:room], positions[room:]
                batch.append(Group(image, taken, len(taken), seed))
                room -= len(taken)
                if room == 0:
                    yield batch
                    batch, room = [], self.batch_size
        if batch:
            yield batch

    def __len__(self) -> int:
        return -(-sum(len(positions) for _, positions, _ in self.groups) // self.batch_size)


class EndlessOrder(Sampler[list[Group]]):
    """Batches of ever new images, for a source that is drawn on the fly.

    How many expressions an image has is known only once it is drawn, so a batch holds ``batch_size // per_image``
    images with at most ``per_image`` expressions each.

    Args:
        batch_size: most expressions a batch.
        per_image: most expressions an image.
        start: number of the first batch, to go on where a run stopped.
        stop: number of the batch after the last.
        seed: of the run.
    """

    def __init__(self, batch_size: int, per_image: int, start: int, stop: int, seed: int) -> None:
        self.images = max(1, batch_size // per_image)
        self.per_image, self.start, self.stop, self.seed = per_image, start, stop, seed

    def __iter__(self) -> Iterator[list[Group]]:
        for number in range(self.start, self.stop):
            first = number * self.images
            seeds = np.random.default_rng([self.seed, number]).integers(2**62, size=self.images).tolist()
            yield [Group(first + step, None, self.per_image, seed) for step, seed in enumerate(seeds)]

    def __len__(self) -> int:
        return self.stop - self.start


def evaluation_batches(source: Source, batch_size: int, images: int | None = None) -> list[list[Group]]:
    """All expressions of the first ``images`` images in order, whole images together as far as they fit."""
    batches: list[list[Group]] = [[]]
    room = batch_size
    for image in range(len(source) if images is None else min(images, len(source))):
        positions = tuple(sorted(at for group in source.expression_groups(image) for at in group))
        for at in range(0, len(positions), batch_size):
            piece = positions[at : at + batch_size]
            if len(piece) > room and batches[-1]:
                batches.append([])
                room = batch_size
            batches[-1].append(Group(image, piece, len(piece), 0))
            room -= len(piece)
    return [batch for batch in batches if batch]


def choose_positions(
    groups: tuple[tuple[int, ...], ...], sentences: Literal["one", "all"], chance: np.random.Generator
) -> list[int]:
    """All expressions of an image, or one a referent, in random order."""
    if sentences == "one":
        chosen = [group[int(chance.integers(len(group)))] for group in groups]
    else:
        chosen = [at for group in groups for at in group]
    return [chosen[at] for at in chance.permutation(len(chosen))]
