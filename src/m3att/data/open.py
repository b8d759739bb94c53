"""Opens the data that a DataConfig names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from m3att.config import DataConfig
from m3att.data.refer import ReferSource
from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import VARIANTS
from m3att.data.source import Source
from m3att.data.splits import default_split_by
from m3att.errors import ConfigError

ENDLESS = 10**9  # images of a ShapeRef split that no run comes to the end of
DRAWN_IMAGES = 500  # images of a drawn split that is scored, where the settings do not say how many


class MixedSource:
    """Several sources as one; image numbers run through them in turn, so that each part of an epoch holds all.

    Args:
        sources: at least one. Of endless ones image i is image i of source i modulo their number.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self.endless = all(len(source) >= ENDLESS for source in sources)
        if not self.endless:
            parts = np.repeat(np.arange(len(sources)), [len(source) for source in sources])
            within = np.concatenate([np.arange(len(source)) for source in sources])
            order = np.argsort(within, kind="stable")
            self.places = np.stack([parts[order], within[order]], axis=1)

    def __len__(self) -> int:
        return ENDLESS if self.endless else len(self.places)

    def place(self, index: int) -> tuple[Source, int]:
        """The source of image ``index`` and the image's number in it."""
        if self.endless:
            return self.sources[index % len(self.sources)], index
        part, within = self.places[index].tolist()
        return self.sources[part], within

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """See Source."""
        source, within = self.place(index)
        return source.expression_groups(within)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """See Source."""
        source, within = self.place(index)
        return source.read(within, expressions)

    def texts(self) -> Iterator[str]:
        """See Source."""
        for source in self.sources:
            yield from source.texts()


def open_source(data: DataConfig, split: str, endless: bool = False) -> Source:
    """The images of one split.

    Args:
        data: root, data set(s), split maker, pixels.
        split: train, val, testA, ...
        endless: draw ShapeRef without end, for training; only without a root and a number of images.

    Raises:
        DataError: where the data are missing or broken, or the split is not legal.
        ConfigError: where a data set that cannot be drawn has no root.
    """
    sources: list[Source] = []
    for name in (part.strip() for part in data.dataset.split(",")):
        if data.root is not None:
            sources.append(ReferSource(data.root, name, data.split_by or default_split_by(name), split, data.pixels))
        elif name in VARIANTS:
            images = data.images or (ENDLESS if endless else DRAWN_IMAGES)
            sources.append(ShapeRefSource(name, split, images, data.seed))
        else:
            raise ConfigError(
                f"data set {name!r} needs a folder: give --data.root; only {', '.join(VARIANTS)} are drawn"
            )
    return sources[0] if len(sources) == 1 else MixedSource(sources)


def pixel_source(source: Source) -> str:
    """What reports call the pixels: photos, layout or drawn."""
    if isinstance(source, MixedSource):
        return "+".join(dict.fromkeys(pixel_source(part) for part in source.sources))
    return source.pixels if isinstance(source, ReferSource) and source.dataset not in VARIANTS else "drawn"
