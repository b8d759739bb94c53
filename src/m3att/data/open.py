"""Opens the data that a DataConfig names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3att.config import DataConfig
from m3att.data.collage.painter import open_collages
from m3att.data.collage.source import CollageSource
from m3att.data.faults import Fault
from m3att.data.held_out import TRAIN, Portion, divide
from m3att.data.masks import Mask
from m3att.data.own.detect import detect
from m3att.data.own.files import refuse_archive
from m3att.data.own.hub import open_hub
from m3att.data.own.shards import open_shards
from m3att.data.own.source import open_jsonl
from m3att.data.own.tools import TOOLS
from m3att.data.refer.source import ReferSource
from m3att.data.refer.tables import find_split_by
from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import VARIANTS
from m3att.data.source import Source
from m3att.errors import ConfigError, DataError, SplitError

OWN: dict[str, Callable[[Path, str, Path | None], Source]] = {
    "jsonl": open_jsonl,
    "hf": open_hub,
    "shards": open_shards,
    **TOOLS,
}
"""How to open data of one's own, by the name that `data.dataset` gives them."""

ENDLESS = 10**9  # images of an endless ShapeRef split; no run reaches the end
DRAWN_IMAGES = 500  # images of a drawn split for scoring, if the settings do not say how many


class MixedSource(Source):
    """Several sources as one. Image numbers go through them in turn, so that each part of an epoch has all of them.

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

    @property
    def pixels(self) -> str:
        """Those of its parts, each named once."""
        return "+".join(dict.fromkeys(part.pixels for part in self.sources))

    @property
    def world(self) -> str:
        """Those of its parts; empty where one of them has photos."""
        worlds = dict.fromkeys(part.world for part in self.sources)
        return "" if "" in worlds else " and ".join(worlds)

    @property
    def origin(self) -> str:
        """Those of its parts, each named once."""
        return " and ".join(dict.fromkeys(part.origin for part in self.sources if part.origin))

    @property
    def lexicon(self) -> tuple[str, ...] | None:
        """Those of its parts together; None if one has none."""
        lists = [part.lexicon for part in self.sources]
        if None in lists:
            return None
        return tuple(dict.fromkeys(word for words in lists for word in words or ()))

    @property
    def no_targets(self) -> int | None:
        """Those of its parts together, a part that stands here twice as often; None where one does not tell."""
        counts = [part.no_targets for part in self.sources]
        told = [count for count in counts if count is not None]
        return sum(told) if len(told) == len(counts) else None

    @property
    def boxed(self) -> int | None:
        """Those of its parts together, as `no_targets`."""
        counts = [part.boxed for part in self.sources]
        told = [count for count in counts if count is not None]
        return sum(told) if len(told) == len(counts) else None

    @property
    def parts(self) -> tuple[Source, ...]:
        """Its sources."""
        return self.sources

    @property
    def faults(self) -> tuple[Fault, ...]:  # type: ignore[override]
        """Those of its parts."""
        return tuple(fault for part in self.sources for fault in part.faults)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of its parts."""
        return tuple(note for part in self.sources for note in part.notes)

    @property
    def has_every_object(self) -> bool:  # type: ignore[override]
        """Whether each part has."""
        return all(part.has_every_object for part in self.sources)

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """See Source."""
        source, within = self.place(index)
        return source.read_objects(within)

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """See Source."""
        source, within = self.place(index)
        return source.read_largest(within)

    def prepare(self) -> None:
        """Prepare each part."""
        for part in self.sources:
            part.prepare()

    def at_epoch(self, epoch: int) -> MixedSource:
        """Each part of that epoch."""
        return MixedSource([part.at_epoch(epoch) for part in self.sources])

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

    @property
    def category_names(self) -> tuple[str, ...]:
        """Those of all sources, each once."""
        return tuple(dict.fromkeys(name for source in self.sources for name in source.category_names))

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source."""
        source, within = self.place(index)
        names = self.category_names
        renumbered = np.arange(256, dtype=np.uint8)  # 0, nothing, and 255, unknown, are the same in all
        for number, name in enumerate(source.category_names, start=1):
            renumbered[number] = names.index(name) + 1
        return renumbered[source.read_categories(within)]

    def texts(self) -> Iterator[str]:
        """See Source; a source that stands here twice is read once."""
        for source in dict.fromkeys(self.sources):
            yield from source.texts()


def open_source(data: DataConfig, split: str, training: bool = False, divided: bool = False) -> Source:
    """The images of one split.

    Args:
        data: root, data set(s), split maker, pixels.
        split: train, val, testA, ...
        training: draw ShapeRef without end where there is neither a root nor a number of images, and let a mixture
            that names a data set twice give it twice the weight; what is scored is scored once.
        divided: of data that state no split take the part that `divide` gives the split; else they are taken whole.

    Raises:
        DataError: where the data are missing or broken, or the split is not legal.
        ConfigError: where a data set that cannot be drawn has no root.
    """
    names = [name.strip() for name in data.dataset.split(",")]
    opened = {name: open_one(data, name, split, training) for name in dict.fromkeys(names)}
    if divided:
        opened = {name: divide(source, split, data.held_out, data.seed) for name, source in opened.items()}
    sources = [opened[name] for name in names] if training else list(opened.values())
    return sources[0] if len(sources) == 1 else MixedSource(sources)


def open_one(data: DataConfig, name: str, split: str, training: bool) -> Source:
    """One data set of a mixture; raises as `open_source` does (DataError, ConfigError).

    Args:
        data: as for `open_source`.
        name: of the data set.
        split: train, val, testA, ...
        training: as for `open_source`.
    """
    image_root = None if data.image_root is None else Path(data.image_root)
    if name in OWN:
        if data.root is None:
            raise ConfigError(f"data set {name!r} is your own: give its file or folder as --data.root")
        if name != "shards":
            refuse_archive(Path(data.root))
        if data.expression_field is None:
            return OWN[name](Path(data.root), split, image_root)
        if name not in TOOLS:
            raise ConfigError(f"data.expression_field: is for {', '.join(TOOLS)}, not for {name}")
        return TOOLS[name](Path(data.root), split, image_root, data.expression_field)
    if data.root is not None:
        split_by = find_split_by(Path(data.root), name, data.split_by)
        if data.pixels == "collage":
            collages = open_collages(data.cutouts, data.collage_side, data.seed)
            return CollageSource(data.root, name, split_by, split, collages)
        return ReferSource(data.root, name, split_by, split, data.pixels, image_root)
    if name in VARIANTS:
        return ShapeRefSource(name, split, data.images or (ENDLESS if training else DRAWN_IMAGES), data.seed)
    raise ConfigError(f"data set {name!r} needs a folder: give --data.root; only {', '.join(VARIANTS)} are drawn")


def open_training(data: DataConfig, validation_images: int | None) -> tuple[Source, Source]:
    """The sources for training and for the validation during training.

    Args:
        data: as for open_source; ``split`` is the one to validate on.
        validation_images: how many of its images are read at most.

    Raises:
        DataError: where one would be read from photos and the other drawn, since only some photos are at hand; and
            as open_source does.
        ConfigError: as open_source, open_beside and open_old do.
    """
    source = open_source(data, "train", training=True, divided=True)
    validation = open_source(replace(data, images=validation_images), data.split, divided=True)
    kinds = source.pixels, validation.pixels
    if set(kinds[0].split("+")) != set(kinds[1].split("+")):
        raise DataError(
            f"{data.root}: the pixels of split train would be {kinds[0]} and those of {data.split} {kinds[1]}; "
            "put the missing photos there, or give --data.pixels layout for both"
        )
    return open_trained_on(data, source), validation


def open_trained_on(data: DataConfig, own: Source | None = None) -> Source:
    """The source for training, with the data sets of `data.beside` and `data.old`; raises as `open_training` does.

    Args:
        data: as for open_source.
        own: the part of `data.root` that is trained on, where it is open already.
    """
    source = open_source(data, TRAIN, training=True, divided=True) if own is None else own
    parts = [source, *(open_beside(data, len(source)) if data.beside else ())]
    if data.old:
        parts += [Portion(*part) for part in zip(open_old(data, TRAIN), portions(data, len(source)), strict=True)]
    return parts[0] if len(parts) == 1 else MixedSource(parts)


def open_beside(data: DataConfig, images: int) -> list[Source]:
    """The sources of `data.beside`, all of them so often that they are the share of an epoch that the settings want.

    Args:
        data: names them.
        images: number of images of the data set that they stand beside.

    Raises:
        ConfigError: where that data set has no end, so that no share of it can be told.
        DataError: where one cannot be opened.
    """
    require_end(images, "data.beside")
    own = [open_named(data, place, TRAIN) for place in data.beside]
    wanted = images * data.beside_share / (1 - data.beside_share)
    return own * max(1, round(wanted / sum(map(len, own))))


def open_old(data: DataConfig, split: str) -> list[Source]:
    """The part of each data set of `data.old` that is trained on or validated on.

    What states no split, or none but that of training, is divided by `data.held_out`.

    Args:
        data: names them.
        split: ``train`` or the split to validate on.

    Raises:
        DataError: where one cannot be opened.
    """
    found: list[Source] = []
    for place in data.old:
        try:
            source = open_named(data, place, split)
            if split == TRAIN:
                open_named(data, place, data.split)
        except SplitError:
            source = open_named(data, place, TRAIN)
            source.stated_split = False
        found.append(divide(source, split, data.held_out, data.seed))
    return found


def portions(data: DataConfig, images: int) -> list[int]:
    """How many images of each data set of `data.old` an epoch has.

    Args:
        data: names them, and their share.
        images: number of images of the data set that they stand beside.

    Raises:
        ConfigError: where that data set has no end, so that no share of it can be told.
    """
    require_end(images, "data.old")
    wanted = images * data.old_share / (1 - data.old_share)
    return [max(1, round(wanted / len(data.old)))] * len(data.old)


def open_named(data: DataConfig, place: str, split: str) -> Source:
    """A data set by its place alone, whose kind is told by what lies there; raises as `open_source` does.

    Args:
        data: the settings that hold for all data.
        place: as `detect` takes it.
        split: train, val ...
    """
    root, dataset = detect(place)
    return open_one(
        replace(DataConfig(), root=root, dataset=dataset, split=split, seed=data.seed), dataset, split, split == TRAIN
    )


def require_end(images: int, key: str) -> None:
    """Refuse to stand beside scenes that are drawn without end.

    Args:
        images: of the data set.
        key: the setting that wants a share of it.

    Raises:
        ConfigError: names the setting.
    """
    if images >= ENDLESS:
        raise ConfigError(f"{key}: needs a data set of a known size, and scenes that are drawn on the fly have none")
