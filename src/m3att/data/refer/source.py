"""The published data sets as a source: RefCOCO and its family, RefCLEF, gRefCOCO, PhraseCut, and ShapeRef on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.images import MAX_PIXELS
from m3att.data.layout.paint import paint_layout
from m3att.data.masks import Mask, RunLengths, draw, unite
from m3att.data.photos import PhotoFolder
from m3att.data.raster import annotated_size, are_turned, read_annotated
from m3att.data.refer.mask_table import MaskTable, open_masks
from m3att.data.refer.places import usual_photos
from m3att.data.refer.referents import split_named, split_whole
from m3att.data.refer.splits import is_published
from m3att.data.refer.tables import open_tables, splits_in
from m3att.data.sample import Sample
from m3att.data.shaperef.world import DRAWN_WORLD, VARIANTS
from m3att.data.source import UNKNOWN, Source
from m3att.errors import DataError, ImageError, counted

Pixels = Literal["auto", "photos", "layout"]


class ReferSource(Source):
    """The images of one split with their expressions; a :class:`~m3att.data.source.Source`.

    An expression's mask is that of its object, the union where it names several (gRefCOCO, PhraseCut), and empty where
    it names none (gRefCOCO).

    Without photos, each annotated object is drawn in its box (see ``layout``), and its mask is its visible part in the
    drawing. ``pixels`` says which of the two this source gives.

    Args:
        root: folder that holds the data set in one of the layouts of `places`.
        dataset: name of the data set, as in ``splits.SPLITS``.
        split_by: who made the split: ``unc``, ``google``, ``umd`` or ``berkeley``.
        split: ``train``, ``val``, ...
        pixels: ``photos``, ``layout``, or ``auto`` for photos where they are at hand and else the layout.
        image_root: folder of the images, where it is none that `places` knows.

    Raises:
        DataError: where the split is not legal, a file is missing or broken, or neither photos nor boxes are there.
    """

    has_every_object = True

    def __init__(
        self,
        root: Path | str,
        dataset: str,
        split_by: str,
        split: str,
        pixels: Pixels = "auto",
        image_root: Path | str | None = None,
    ) -> None:
        if pixels not in ("auto", "photos", "layout"):
            raise DataError(f"pixels {pixels!r} is none of auto, photos, layout")
        self.root, self.dataset, self.split_by, self.split = Path(root), dataset, split_by, split
        tables = open_tables(self.root, dataset, split_by, split)
        self._place, self._folder = str(tables.folder), tables.folder
        refs = tables.refs[tables.referents.sentence_counts()[tables.refs] > 0]
        if len(refs) == 0:
            others = "" if is_published(dataset) else f"; it has {', '.join(splits_in(tables))}"
            odd = "".join(f"; {reason}" for reason, _ in tables.referents.odd_of_split(split)[:1])
            raise DataError(f"{self._place}: no referent of split {split!r} for {split_by}{others}{odd}")
        refs, self.faults = split_whole(tables.referents, refs, self._place, split)
        self._objects, self._referents = tables.objects, tables.referents
        if pixels != "layout":
            refs, nameless = split_named(self._referents, self._objects, refs, self._place)
            self.faults += nameless
        if len(refs) == 0:
            raise DataError(self.faults[-1].reason)
        self.categories = self._objects.categories
        refs = self._drawable(refs)
        self._images = np.unique(tables.referents.image_numbers[refs]).astype(np.int64)
        self.image_ids: list[int] = self._objects.image_ids[self._images].tolist()
        self._index(refs)
        given = None if image_root is None else Path(image_root)
        photos = None if pixels == "layout" else tables.photos(self.root, dataset, given)
        self._photos = photos or usual_photos(self.root, dataset)
        self._is_layout = self._choose_layout(pixels, photos)
        self._masks: MaskTable | None = None
        self._turned: bool | None = None

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def pixels(self) -> str:
        """``layout``, ``photos``, or ``drawn`` for the pictures of a data set that is drawn itself."""
        if self._is_layout:
            return "layout"
        return "drawn" if self.dataset in VARIANTS else "photos"

    @property
    def origin(self) -> str:
        """See Source."""
        return self._place if self._is_layout else f"{self._place}; photos in {self.image_root}"

    @property
    def no_targets(self) -> int:
        """See Source."""
        return int((self._referents.target_counts()[self._refs] == 0).sum())

    @property
    def world(self) -> str:
        """See Source."""
        if self._is_layout:
            return f"layouts drawn of {self.dataset}'s annotated boxes"
        return DRAWN_WORLD if self.dataset in VARIANTS else ""

    def prepare(self) -> None:
        """Rasterise the split's masks, or find them in the cache, before reading begins; drawn layouts need none."""
        if not self._is_layout and self._masks is None:
            self._masks = open_masks(self._objects, self._referents, self._refs, self.split)

    @property
    def image_root(self) -> Path:
        """The folder of the photos, or where they would be in the REFER layout."""
        return self._photos.path

    def expression_count(self, index: int) -> int:
        """Number of expressions of image ``index``."""
        return int(self._image_starts[index + 1] - self._image_starts[index])

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent (an entry of the refs file)."""
        start, stop = int(self._image_starts[index]), int(self._image_starts[index + 1])
        cuts = np.flatnonzero(np.diff(self._refs[start:stop])) + 1
        return tuple(tuple(group.tolist()) for group in np.split(np.arange(stop - start), cuts))

    def texts(self) -> Iterator[str]:
        """Every expression of the split."""
        every = self._referents.texts
        return (every[number] for number in self._sentences.tolist())

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them.

        Raises:
            ImageError: where the photo is missing or damaged.
            DataError: where a referent has no mask.
        """
        positions = range(self.expression_count(index)) if expressions is None else expressions
        places = [int(self._image_starts[index]) + int(position) for position in positions]
        targets = [self._referents.targets(int(self._refs[place])) for place in places]
        distinct = list(dict.fromkeys(targets))
        mask_number = {rows: number for number, rows in enumerate(distinct)}
        sentences = [int(self._sentences[place]) for place in places]
        image_HWC, masks = self._draw(index, distinct)
        if self._is_layout:
            self._require_inside(index, distinct)
        texts, ids = self._referents.texts, self._referents.store["sentence_ids"]
        return Sample(
            image_HWC=image_HWC,
            masks=masks,
            mask_index_N=tuple(mask_number[rows] for rows in targets),
            expressions=tuple(texts[number] for number in sentences),
            expression_ids=tuple(int(ids[number]) for number in sentences),
            image_id=self.image_ids[index],
            skills=tuple(self._referents.skills(number) for number in sentences),
        )

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """See Source; of a drawing, the part of each object that is seen."""
        size, owner_HW = self._size(index), self._paint(index)[1] if self._is_layout else None
        found: list[tuple[Mask, str]] = []
        annotations = self._objects.of_image(int(self._images[index]))
        for place, (row, one) in enumerate(zip(self._rows(index), annotations, strict=True)):
            with suppress(DataError):  # told when its expressions are read
                mask = self._mask(index, row, *size) if owner_HW is None else owner_HW == place
                if not one.is_crowd and mask.any():
                    found.append((mask, self.categories.get(one.category_id, "")))
        return found

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """See Source: (H, W). Largest is the visible area of a drawing, the annotated area of a photo."""
        every = list(self._rows(index))
        rows = [row for row in every if not self._objects.crowd[row]] or every
        if not self._is_layout:
            for row in sorted(rows, key=lambda row: -float(self._objects.areas[row])):
                try:
                    return draw(self._draw(index, [(row,)])[1][0])
                except DataError:
                    continue  # told when its expressions are read, and the guess is the largest that can be drawn
            rows = []
        masks = self._draw(index, [(row,) for row in rows] or [()])[1]
        return max(map(draw, masks), key=np.count_nonzero)

    @property
    def category_names(self) -> tuple[str, ...]:
        """The names in instances.json, in the order of their ids; none where they are more than a map can hold."""
        if len(self.categories) >= UNKNOWN or self.dataset == "phrasecut":
            return ()
        return tuple(self.categories[id_] for id_ in sorted(self.categories))

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source; crowd regions are unknown, and where an object's outline cannot be drawn, all that is empty.

        RefCLEF has more categories than a map can hold, and PhraseCut outlines only what its phrases name: all unknown.
        """
        height, width = self._size(index)
        if not self.category_names:
            return np.full((height, width), UNKNOWN, dtype=np.uint8)
        annotations = self._objects.of_image(int(self._images[index]))
        numbers = {id_: number for number, id_ in enumerate(sorted(self.categories), start=1)}
        labels = [UNKNOWN if one.is_crowd else numbers.get(one.category_id, UNKNOWN) for one in annotations]
        if self._is_layout:
            return np.array([*labels, 0], dtype=np.uint8)[self._paint(index)[1]]  # the background's owner is -1
        categories_HW, background = np.zeros((height, width), dtype=np.uint8), 0
        rows = self._rows(index)
        largest_first = sorted(range(len(labels)), key=lambda number: -float(self._objects.areas[rows[number]]))
        for number in largest_first:  # outlines overlap at their rims, and what is small lies in front more often
            try:
                categories_HW[self._mask(index, rows[number], height, width).draw()] = labels[number]
            except DataError:  # told when its expressions are read; it may lie anywhere
                background = UNKNOWN
        categories_HW[categories_HW == 0] = background
        return categories_HW

    def image_path(self, index: int) -> Path:
        """Where the photo of image ``index`` lies, or would lie."""
        return self._photos.file(self._objects.file_names[int(self._images[index])])

    def _rows(self, index: int) -> range:
        return self._objects.rows_of_image(int(self._images[index]))

    def _size(self, index: int) -> tuple[int, int]:
        """Height and width of the photo as its annotations see it, or of the drawing.

        Raises:
            DataError: where a drawing would be larger than any photo that is read.
        """
        height, width = self._objects.image_sizes[int(self._images[index])].tolist()
        if not self._is_layout:
            height, width = annotated_size(*self._photo(index))
        if height * width > MAX_PIXELS:
            which = f"image {self.image_ids[index]}"
            raise DataError(f"{self._place}: {which} is stated to be {width} x {height}, more than can be drawn")
        return height, width

    def _index(self, refs: NDArray[np.int64]) -> None:
        """Numbers the split's expressions by image, and within one by referent as the file has them."""
        images = self._referents.image_numbers[refs]
        refs = refs[np.argsort(images, kind="stable")]
        counts = self._referents.sentence_counts()[refs]
        ends = np.cumsum(counts)
        starts = self._referents.store["sentence_starts"][refs]
        self._refs = np.repeat(refs, counts).astype(np.int32)
        self._sentences = (np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)).astype(np.int32)
        of_expression = self._referents.image_numbers[self._refs]
        self._image_starts = np.searchsorted(of_expression, np.append(self._images, np.iinfo(np.int32).max))

    def _choose_layout(self, wanted: Pixels, photos: PhotoFolder | None) -> bool:
        """Whether images are drawn of their boxes rather than read."""
        if photos is not None:
            return False
        photos_of_split = f"{counted(len(self), 'photo')} of split {self.split}"
        missing = f"{self._place}: none of the {photos_of_split} is there, looked for in "
        if wanted == "photos" or (wanted == "auto" and not is_published(self.dataset)):
            advice = "; give their folder as --image-root"
            other = "" if wanted == "photos" else ", or --data.pixels layout to draw the boxes instead"
            raise DataError(f"{missing}{self.image_root} and beside it{advice}{other}")
        owners = np.repeat(np.arange(len(self._objects.image_ids)), np.diff(self._objects.starts))
        boxless = np.isnan(self._objects.boxes_A4).any(axis=1)
        if np.isin(owners[boxless], self._images).any() or (self._objects.image_sizes[self._images] <= 0).any():
            raise DataError(
                f"{self._place}: neither photos in {self.image_root} nor a box for every annotation; "
                "put the photos there or give their folder as --image-root"
            )
        return True

    def _draw(self, index: int, targets: Sequence[tuple[int, ...]]) -> tuple[NDArray[np.uint8], tuple[Mask, ...]]:
        """The pixels of image ``index`` and a mask for each set of table rows, empty for an empty set."""
        if self._is_layout:
            image_HWC, owner_HW = self._paint(index)
            height, width = owner_HW.shape
            first = self._rows(index).start
            return image_HWC, tuple(unite([owner_HW == row - first for row in rows], height, width) for rows in targets)
        image_HWC = read_annotated(*self._photo(index))
        height, width = image_HWC.shape[:2]
        masks: list[Mask] = []
        for rows in targets:
            parts = [self._mask(index, row, height, width) for row in rows]
            for row, part in zip(rows, parts, strict=True):  # what names nothing has no row
                if not part.any():
                    raise DataError(f"{self._which(index, row)}: its mask covers no pixel of the image")
            masks.append(unite(parts, height, width))
        return image_HWC, tuple(masks)

    def _photo(
        self, index: int
    ) -> tuple[Path, tuple[int, int] | None, Callable[[], list[Any]], tuple[Path, ...], Callable[[], bool]]:
        """What `raster.read_annotated` takes."""
        height, width = self._objects.image_sizes[int(self._images[index])].tolist()

        def masks() -> list[Any]:
            return [self._objects.segmentation(row) for row in self._rows(index)]

        stated = (height, width) if min(height, width) > 0 else None
        return self.image_path(index), stated, masks, (self.image_root, self._folder), self._others_turned

    def _others_turned(self) -> bool:
        """Whether some outlines leave the size that is stated for their image; asked for a few photos, if ever."""
        if self._turned is None:
            objects = self._objects
            sizes = [(number, *objects.image_sizes[number].tolist()) for number in self._images.tolist()]
            self._turned = are_turned(
                ((height, width), map(objects.segmentation, objects.rows_of_image(number)))
                for number, height, width in sizes
                if min(height, width) > 0
            )
        return self._turned

    def _paint(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Image ``index`` drawn of its boxes: RGB (H, W, 3), and which of its objects is seen at each pixel, or -1."""
        height, width = self._size(index)
        return paint_layout(height, width, self._objects.of_image(int(self._images[index])), self.categories)

    def _drawable(self, refs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some referents that can be drawn: here all."""
        return refs

    def _require_inside(self, index: int, targets: Sequence[tuple[int, ...]]) -> None:
        """Refuses an object whose box lies outside its image: what was drawn for it stands somewhere else."""
        height, width = self._size(index)
        for row in (row for rows in targets for row in rows):
            left, top, right, bottom = self._objects.boxes_A4[row].tolist()
            if right < 0 or bottom < 0 or left > width or top > height:
                raise DataError(f"{self._which(index, row)}: its box lies outside the image")

    def _which(self, index: int, row: int) -> str:
        return f"{self.dataset}: annotation {int(self._objects.ids[row])} of image {self.image_ids[index]}"

    def _mask(self, index: int, row: int, height: int, width: int) -> RunLengths:
        found = None if self._masks is None else self._masks.find(row, height, width)
        if found is not None:
            return found
        try:
            return read_segmentation(self._objects.segmentation(row), height, width, (self.image_root, self._folder))
        except (DataError, ImageError) as error:
            raise DataError(f"{self._which(index, row)}: {error}") from None
