"""The interface of every data set, on disk or drawn on the fly, for training and evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from m3att.data.faults import Fault
from m3att.data.masks import Mask, draw
from m3att.data.sample import Sample
from m3att.errors import DataError, ImageError

UNKNOWN = 255  # in a map of categories


class Source(ABC):
    """Images with expressions, by number. A new data set is a subclass; no other code asks for its class.

    Reading depends only on the arguments, so that processes can share a source.

    Attributes:
        category_names: the categories of its objects, as its annotations name them; none where it has none.
        faults: entries that were left out when its files were opened.
        notes: oddities of its files through which nothing is lost.
        split_by: who made the split (``unc``, ``umd`` ...); None where that is not part of its name.
        stated_split: whether the data say which split an expression belongs to; else the source gives all of them.
        image_ids: of its images, in their order; none where it has none.
        has_every_object: whether all objects of an image are annotated, and not only those that expressions name.
    """

    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    split_by: str | None = None
    stated_split: bool = True
    image_ids: Sequence[int] = ()
    has_every_object: bool = False

    @property
    @abstractmethod
    def pixels(self) -> str:
        """The kind of its pixels in reports: ``photos``, ``layout``, ``drawn``, or several joined by ``+``."""

    @property
    def world(self) -> str:
        """A few words that say what kind of pictures a network trained on it knows; empty for photos."""
        return "" if "photos" in self.pixels.split("+") else f"{self.pixels} pictures"

    @property
    def origin(self) -> str:
        """Where it was read from, in a few words; empty where it is drawn from nothing."""
        return ""

    @property
    def lexicon(self) -> tuple[str, ...] | None:
        """Every word that its expressions can hold, if there is such a list; None if only reading tells."""
        return None

    @property
    def no_targets(self) -> int | None:
        """How many of its expressions name nothing in their image; None if that is known only after reading."""
        return None

    @property
    def boxed(self) -> int | None:
        """How many of its expressions name what has a box and no outline; None if that is known only after reading.

        A source with such expressions marks their masks in `Sample.boxed`.
        """
        return 0

    @property
    def category_names(self) -> tuple[str, ...]:
        """See Attributes."""
        return ()

    @property
    def photo_names(self) -> Sequence[str]:
        """The photo of each image, equal where two images are of one photo; none where each image has its own."""
        return ()

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources that it is mixed of; itself where it is none."""
        return (self,)

    @abstractmethod
    def __len__(self) -> int:
        """Number of images that carry at least one expression."""

    @abstractmethod
    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent (training draws one of each an epoch)."""

    @abstractmethod
    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them.

        Raises:
            ImageError: where the image is missing or damaged.
            DataError: where a mask cannot be drawn.
        """

    @abstractmethod
    def texts(self) -> Iterator[str]:
        """Every expression, to build a vocabulary from."""

    def prepare(self) -> None:  # noqa: B027 - most sources have nothing to prepare
        """Do work once, before processes share the source, that each of them would otherwise repeat."""

    def at_epoch(self, epoch: int) -> Source:
        """The source as an epoch of a training sees it: pictures that are drawn anew each epoch are of that one."""
        return self

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """The category of each pixel of image ``index``: 0 background, i + 1 category i, 255 unknown; (H, W).

        A source that names no categories knows nothing of any pixel.
        """
        return np.full(self.read(index).image_HWC.shape[:2], UNKNOWN, dtype=np.uint8)

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """The annotated objects of image ``index`` that are no crowd: mask and name of the category.

        The name is empty where it is unknown. An object whose mask cannot be drawn is left out. A source that knows
        nothing of them gives none.
        """
        return []

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """The mask (H, W) of the largest object of the image that is not a crowd: a baseline without language.

        Raises:
            DataError: where not all objects of an image are annotated.
        """
        if not self.has_every_object:
            raise DataError(f"image {index}: this data set does not say which objects its images hold")
        return max((draw(mask) for mask, _ in self.read_objects(index)), key=np.count_nonzero)


def find_readable(
    source: Source, index: int, positions: Sequence[int], whole: DataError | ImageError
) -> tuple[tuple[int, ...], tuple[Fault, ...]]:
    """Finds the expressions because of which an image cannot be read with all of them.

    A broken mask affects only its own expressions. A broken image affects all of them.

    Args:
        source: holds the image.
        index: number of the image.
        positions: of the expressions.
        whole: what reading them together raised.

    Returns:
        The positions that can be read, and what is to be left out.
    """
    if isinstance(whole, ImageError) or len(positions) == 1:
        return (), (Fault(str(whole), index, tuple(positions)),)
    good: list[int] = []
    faults: list[Fault] = []
    for position in positions:
        try:
            source.read(index, (position,))
            good.append(position)
        except (DataError, ImageError) as error:
            faults.append(Fault(str(error), index, (position,)))
    return tuple(good), tuple(faults)
