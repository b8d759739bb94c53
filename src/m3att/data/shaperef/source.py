"""ShapeRef as a source of samples that are drawn on the fly; `writer.py` writes the same samples to disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import Mask
from m3att.data.sample import Sample
from m3att.data.shaperef.expressions import describe
from m3att.data.shaperef.lexicon import vocabulary
from m3att.data.shaperef.scene import Scene, compose
from m3att.data.shaperef.world import DRAWN_WORLD, HELD_OUT, KINDS, SPLITS, VARIANTS, Description, SceneFacts
from m3att.data.source import Source
from m3att.errors import DataError

# Room for ids: a split has fewer images, an image fewer objects and expressions, than this.
_IMAGES_PER_SPLIT = 10**9
IDS_PER_IMAGE = 100
# Scenes whose expressions ``texts`` reads at most: the vocabulary is full long before.
_TEXT_SCENES = 2000
_KEPT = 16


class ShapeRefSource(Source):
    """Scenes and expressions of one variant and split, each drawn when it is read.

    Scene ``index`` depends on seed, split and size only, its expressions on the variant too.

    Args:
        variant: one of ``world.VARIANTS``.
        split: one of ``world.SPLITS``.
        images: how many there are; a training that shall not repeat one asks for 10**9.
        seed: another seed, another data set.
        size: height and width of the pictures in pixels.

    Raises:
        DataError: for an unknown variant or split, or a number out of range.
    """

    pixels = "drawn"
    world = DRAWN_WORLD
    has_every_object = True

    def __init__(self, variant: str, split: str, images: int, seed: int = 0, size: int = 160) -> None:
        if variant not in VARIANTS:
            raise DataError(f"no ShapeRef variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        if split not in SPLITS:
            raise DataError(f"no ShapeRef split {split!r}: choose one of {', '.join(SPLITS)}")
        if not 0 < images <= _IMAGES_PER_SPLIT:
            raise DataError(f"ShapeRef {split}: {images} images, but there must be 1 to {_IMAGES_PER_SPLIT}")
        if not 64 <= size <= 1024:
            raise DataError(f"ShapeRef pictures of {size} pixels a side: choose 64 to 1024")
        if seed < 0:
            raise DataError(f"ShapeRef seed {seed}: choose 0 or more")
        self.variant, self.split, self.images, self.seed, self.size = variant, split, images, seed, size
        self._kept: OrderedDict[int, tuple[Scene, list[Description]]] = OrderedDict()

    def __len__(self) -> int:
        return self.images

    @property
    def lexicon(self) -> tuple[str, ...]:
        """Every word of ShapeRef's language."""
        return vocabulary()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": OrderedDict()}

    def image_id(self, index: int) -> int:
        """The id of image ``index``: unique among the splits of a data set."""
        return SPLITS.index(self.split) * _IMAGES_PER_SPLIT + index + 1

    def described(self, index: int) -> tuple[Scene, list[Description]]:
        """Scene ``index`` with its expressions, those of one referent beside each other."""
        if not 0 <= index < self.images:
            raise IndexError(f"ShapeRef {self.split} has {self.images} images, no image {index}")
        known = self._kept.get(index)
        if known is None:
            key = [self.seed, SPLITS.index(self.split), index]
            scene = compose(_generator([*key, 0]), self.split, self.size)
            known = (scene, self._expressions(scene.facts, [*key, 1 + VARIANTS.index(self.variant)]))
            self._kept[index] = known
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return known

    def _expressions(self, facts: SceneFacts, key: list[int]) -> list[Description]:
        found = describe(facts, _generator(key), self.variant, self.split)
        if self.split == "testB":
            new = {n for n, thing in enumerate(facts.objects) if (thing.kind, thing.colour) in HELD_OUT}
            found = [description for description in found if description.object_index in new]
        return sorted(found, key=lambda description: description.object_index)

    def expression_count(self, index: int) -> int:
        """Number of expressions of image ``index``."""
        return len(self.described(index)[1])

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent."""
        groups: dict[int, list[int]] = {}
        for position, description in enumerate(self.described(index)[1]):
            groups.setdefault(description.object_index, []).append(position)
        return tuple(tuple(group) for group in groups.values())

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them."""
        scene, found = self.described(index)
        positions = range(len(found)) if expressions is None else expressions
        chosen = [found[position] for position in positions]
        referents = list(dict.fromkeys(description.object_index for description in chosen))
        image_id = self.image_id(index)
        return Sample(
            image_HWC=scene.image_HWC.copy(),  # the reader's own, whatever is done to it
            masks=tuple(scene.masks_OHW[referents]),
            mask_index_N=tuple(referents.index(description.object_index) for description in chosen),
            expressions=tuple(description.text for description in chosen),
            expression_ids=tuple(image_id * IDS_PER_IMAGE + position for position in positions),
            image_id=image_id,
            skills=tuple(description.skills for description in chosen),
        )

    @property
    def category_names(self) -> tuple[str, ...]:
        """The kinds of things."""
        return KINDS

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source."""
        scene = self.described(index)[0]
        kinds_O = np.array([KINDS.index(thing.kind) + 1 for thing in scene.facts.objects], dtype=np.uint8)
        categories_HW: NDArray[np.uint8] = (scene.masks_OHW * kinds_O[:, None, None]).max(axis=0)
        return categories_HW

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """See Source."""
        scene = self.described(index)[0]
        return [(mask_HW, thing.kind) for mask_HW, thing in zip(scene.masks_OHW, scene.facts.objects, strict=True)]

    def texts(self) -> Iterator[str]:
        """The expressions of the first 2000 scenes: enough to build a vocabulary from."""
        for index in range(min(self.images, _TEXT_SCENES)):
            for description in self.described(index)[1]:
                yield description.text


def _generator(key: Sequence[int]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key))))
