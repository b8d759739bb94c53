"""The order of the expressions of an epoch, and their batches. Both depend only on the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch.utils.data import Sampler

from m3att.config import DataConfig
from m3att.data.source import Source


@dataclass(frozen=True)
class Group:
    """Expressions of one image in one batch.

    Args:
        image: number of the image in its source.
        positions: which of its expressions; None: at most ``limit``, chosen at random.
        limit: most expressions, where positions are not given.
        seed: decides the random changes, and the choice of expressions if positions are not given.
    """

    image: int
    positions: tuple[int, ...] | None
    limit: int
    seed: int


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


SEEDS, SEED_IMAGES = 1000, 10**6  # an endless source is divided among so many runs, and each has so many images


class EndlessOrder(Sampler[list[Group]]):
    """Batches that never repeat an image, for a source that is drawn on the fly.

    How many expressions an image has is known only once it is drawn, so a batch holds ``batch_size // per_image``
    images with at most ``per_image`` expressions each. Another seed takes other images. So a run that
    starts from another's weights does not see its images again.

    Args:
        batch_size: most expressions a batch.
        per_image: most expressions an image.
        start: number of the first batch, to go on where a run stopped.
        stop: number of the batch after the last.
        seed: of the run.
    """

    def __init__(self, batch_size: int, per_image: int, start: int, stop: int, seed: int) -> None:
        self.images = max(1, batch_size // per_image)
        self.per_image, self.start, self.stop, self.seed = min(per_image, batch_size), start, stop, seed

    def __iter__(self) -> Iterator[list[Group]]:
        for number in range(self.start, self.stop):
            first = self.seed % SEEDS * SEED_IMAGES + number * self.images
            seeds = np.random.default_rng([self.seed, number]).integers(2**62, size=self.images).tolist()
            yield [Group(first + step, None, self.per_image, seed) for step, seed in enumerate(seeds)]

    def __len__(self) -> int:
        return self.stop - self.start


def evaluation_batches(source: Source, batch_size: int, images: int | None = None) -> list[list[Group]]:
    """All expressions of the first ``images`` images in order, whole images together as far as they fit.

    Args:
        source: images with expressions.
        batch_size: expressions in a batch.
        images: the first so many; None: all.
    """
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
    """All expressions of an image, or one a referent, in random order.

    Args:
        groups: positions of the expressions, one tuple a referent.
        sentences: `all` of them, or `one` a referent.
        chance: draws them.
    """
    if sentences == "one":
        chosen = [group[int(chance.integers(len(group)))] for group in groups]
    else:
        chosen = [at for group in groups for at in group]
    return [chosen[at] for at in chance.permutation(len(chosen))]


def divide(groups: Sequence[Group], count: int) -> list[list[Group]]:
    """A batch in parts with nearly as many expressions each, by whole groups; some may be empty.

    The largest group comes first to the part with the fewest expressions, and of equal ones to that with the fewest
    images. How many expressions an image has that nobody has drawn yet is not known: it counts with its limit.

    Args:
        groups: of the batch.
        count: of the parts.

    Returns:
        The parts. Each keeps the order of the batch, so that one part is the batch itself.
    """
    chosen: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for number in sorted(range(len(groups)), key=lambda number: -groups[number].limit):
        part = min(range(count), key=lambda at: (loads[at], len(chosen[at])))
        chosen[part].append(number)
        loads[part] += groups[number].limit
    return [[groups[number] for number in sorted(part)] for part in chosen]
