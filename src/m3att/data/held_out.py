"""Parts of a source: a split by image for data that state none, and images that are others in each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from m3att.data.faults import Fault
from m3att.data.masks import Mask
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.errors import counted

TRAIN = "train"


class ChosenImages(Source):
    """Some images of a source, in their order.

    Args:
        whole: the source.
        images: their numbers in it.
        division: how they were chosen, in a few words.
    """

    def __init__(self, whole: Source, images: Sequence[int], division: str) -> None:
        self.whole, self.images, self.division = whole, tuple(images), division
        self.split_by, self.has_every_object = whole.split_by, whole.has_every_object
        self.notes = whole.notes
        self.image_ids = [whole.image_ids[image] for image in self.images] if whole.image_ids else ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def pixels(self) -> str:
        """Those of the whole."""
        return self.whole.pixels

    @property
    def world(self) -> str:
        """That of the whole."""
        return self.whole.world

    @property
    def origin(self) -> str:
        """That of the whole, and how the images were chosen."""
        return "; ".join(text for text in (self.whole.origin, self.division) if text)

    @property
    def lexicon(self) -> tuple[str, ...] | None:
        """That of the whole."""
        return self.whole.lexicon

    @property
    def faults(self) -> tuple[Fault, ...]:  # type: ignore[override]
        """Those of the whole: an entry that was left out when the files were opened is of no split."""
        return self.whole.faults

    @property
    def boxed(self) -> int | None:
        """None where the whole has any: which images they are of is known only after reading."""
        return 0 if self.whole.boxed == 0 else None

    @property
    def category_names(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.whole.category_names

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """See Source."""
        return self.whole.expression_groups(self.images[index])

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """See Source."""
        return self.whole.read(self.images[index], expressions)

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source."""
        return self.whole.read_categories(self.images[index])

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """See Source."""
        return self.whole.read_objects(self.images[index])

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """See Source."""
        return self.whole.read_largest(self.images[index])

    def prepare(self) -> None:
        """Prepare the whole."""
        self.whole.prepare()

    def texts(self) -> Iterator[str]:
        """See Source. The texts of a source come image by image, so only those of the chosen images are kept."""
        chosen, texts = set(self.images), self.whole.texts()
        for image in range(len(self.whole)):
            own = [next(texts) for group in self.whole.expression_groups(image) for _ in group]
            if image in chosen:
                yield from own


class Portion(ChosenImages):
    """So many images of a source in each epoch, one after the other through the whole.

    So a small data set can be trained on beside a large one, without being lost in it, and the large one is seen as a
    whole in the course of many epochs.

    Args:
        whole: the source.
        count: images of an epoch; more than the source has repeat them.
        epoch: number of the epoch.
    """

    def __init__(self, whole: Source, count: int, epoch: int = 0) -> None:
        images = [(epoch * count + number) % len(whole) for number in range(count)]
        super().__init__(whole, images, "")
        self.count = count

    def at_epoch(self, epoch: int) -> Portion:
        """See Source."""
        return Portion(self.whole.at_epoch(epoch), self.count, epoch)

    def texts(self) -> Iterator[str]:
        """Those of the whole, as each of its images comes up; of drawn scenes their list of words."""
        yield from self.whole.texts() if self.whole.lexicon is None else self.whole.lexicon


def held_out_images(images: int, share: float, seed: int) -> tuple[int, ...]:
    """The images that are held out of training.

    Args:
        images: how many there are.
        share: of them that is held out, rounded down.
        seed: another seed, other images.

    Returns:
        Their numbers, in order; none where the share is less than one image.
    """
    chance = np.random.Generator(np.random.PCG64(seed))
    return tuple(sorted(chance.permutation(images)[: int(share * images)].tolist()))


def divide(source: Source, split: str, share: float, seed: int) -> Source:
    """The part of a source that belongs to a split, where the data state no split themselves.

    Args:
        source: gives all its images where it states no split.
        split: ``train`` gets what is not held out, every other split what is.
        share: of the images that is held out.
        seed: of the choice.

    Returns:
        The source itself where it states a split, or where the share is less than one image.
    """
    held_out = () if source.stated_split else held_out_images(len(source), share, seed)
    if not held_out:
        return source
    names = source.photo_names
    if names:  # an image of a photo that is held out is held out too, under whatever id
        photos = {names[image] for image in held_out}
        held_out = tuple(image for image, name in enumerate(names) if name in photos)
        if len(held_out) == len(source):
            return source
    images = held_out if split != TRAIN else sorted(set(range(len(source))) - set(held_out))
    division = (
        f"the data state no split: training holds out {len(held_out):,} of {counted(len(source), 'image')} "
        f"(data.held_out {share:g}, data.seed {seed})"
    )
    return ChosenImages(source, images, division)
