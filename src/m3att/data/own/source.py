"""Own images as a source: a JSONL, a COCO json with expressions, or rows of a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.boxes import box_in, fill_box
from m3att.data.faults import Fault
from m3att.data.images import Member, read_size
from m3att.data.masks import Mask, draw, unite
from m3att.data.own.content import Content, reason_of
from m3att.data.own.files import file_of_split, lost_photos, with_photos
from m3att.data.own.index import index_content
from m3att.data.own.jsonl import content_of_lines, read_lines
from m3att.data.own.packed import Packed
from m3att.data.own.shapes import rectangle
from m3att.data.photos import photo_of
from m3att.data.raster import annotated_size, are_turned, read_annotated
from m3att.data.refer.records import collector_paused
from m3att.data.refer.store import Store, cached
from m3att.data.sample import Sample
from m3att.data.source import UNKNOWN, Source
from m3att.errors import DataError, ImageError, shown


class CustomSource(Source):
    """The images of one split of own data, with their expressions; a :class:`~m3att.data.source.Source`.

    What cannot be drawn (a polygon of two points, a mask of another size than its image, one that lies outside it) is
    told when it is read, so that one bad entry does not keep the others from use.

    Args:
        content: the records.
        split: only expressions of this split; all where the records state none.
        name: what messages call the data.

    Raises:
        DataError: where the split holds no expression.
    """

    pixels = "photos"

    def __init__(self, content: Content, split: str, name: str) -> None:
        self._take(Store(*index_content(content, split, name)), name)
        self.look_in(content)

    @classmethod
    def restored(cls, store: Store, name: str) -> CustomSource:
        """The source of a store of `index_content`; `look_in` tells it where its photos lie.

        Args:
            store: of the split.
            name: what messages call the data.
        """
        source = cls.__new__(cls)
        source._take(store, name)
        return source

    def _take(self, store: Store, name: str) -> None:
        notes = store.notes
        self.name, self.split, self.stated_split = name, str(notes["split"]), bool(notes["stated_split"])
        self.has_every_object, self._background = bool(notes["has_every_object"]), int(notes["background"])
        self._category_names: tuple[str, ...] = tuple(notes["category_names"])
        self._is_label_studio, self.notes = bool(notes["is_label_studio"]), tuple(notes["notes"])
        self.crowd_count = int(notes["crowds"])
        self.faults = tuple(Fault(reason, entries=entries) for reason, entries in notes["faults"])
        self.image_ids: list[int] = store["image_ids"].tolist()
        self._sizes: list[list[int]] = store["sizes"].tolist()
        self._sentence_ids, self._referent_N, self._starts, self._boxed_R = (
            store[array] for array in ("sentence_ids", "referent_N", "starts", "boxed_R")
        )
        self._files, self._texts = store.texts("files"), store.texts("texts")
        self._skills, self._masks, self._objects = (
            Packed.under(values, store) for values in ("skills", "masks", "objects")
        )
        self._turned: bool | None = None

    def look_in(self, content: Content) -> None:
        """Take photos, and masks in files of their own, from the folders of some records."""
        self.image_root, self._photos, self._mask_roots = content.image_root, content.photos, content.mask_roots

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def origin(self) -> str:
        """See Source."""
        return f"{self.name}; photos in {self._photos.path}"

    @property
    def no_targets(self) -> int | None:
        """See Source."""
        return int(self._masks.empty_lists()[self._referent_N].sum())

    @property
    def boxed(self) -> int | None:
        """See Source; of one of several objects that an expression names it is enough."""
        return int(self._boxed_R[self._referent_N].sum())

    @property
    def photo_names(self) -> Sequence[str]:
        """See Source; some programs list a photo anew for each annotator or expression."""
        return list(map(photo_of, self._files))

    @property
    def category_names(self) -> tuple[str, ...]:
        """The names in the order of their ids; none where they are more than a map can hold."""
        return self._category_names

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """See Source."""
        own = self._referent_N[self._starts[index] : self._starts[index + 1]]
        cuts = np.flatnonzero(np.diff(own)) + 1
        return tuple(tuple(group.tolist()) for group in np.split(np.arange(len(own)), cuts))

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """See Source.

        Raises:
            ImageError: where the image is missing or damaged.
            DataError: where a mask cannot be drawn on it.
        """
        start, stop = int(self._starts[index]), int(self._starts[index + 1])
        flat = list(range(start, stop)) if expressions is None else [start + int(at) for at in expressions]
        image_HWC = self._image(index)
        referents = [int(self._referent_N[at]) for at in flat]
        distinct = list(dict.fromkeys(referents))
        masks: list[Mask] = []
        boxed: list[bool] = []
        height, width = image_HWC.shape[:2]
        for referent in distinct:
            try:
                # none where it names nothing, several of gRefCOCO
                parts = [self._read_mask(mask, height, width) for mask in self._masks[referent]]
                masks.append(unite([mask for mask, _ in parts], height, width))
                boxed.append(any(is_box for _, is_box in parts))
            except (DataError, ImageError) as error:
                text = self._texts[flat[referents.index(referent)]]
                raise DataError(f"{self.image_path(index)}: {shown(text)}: {error}") from None
        return Sample(
            image_HWC=image_HWC,
            masks=tuple(masks),
            mask_index_N=tuple(distinct.index(referent) for referent in referents),
            expressions=tuple(self._texts[at] for at in flat),
            expression_ids=tuple(int(self._sentence_ids[at]) for at in flat),
            image_id=self.image_ids[index],
            skills=tuple(tuple(self._skills[at]) for at in flat),
            boxed=tuple(boxed),
        )

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source; where only what expressions name is annotated, the rest is unknown.

        Nobody knows which pixels of a box are its object's, so all of them are unknown.
        """
        height, width = self._image(index).shape[:2]
        drawn, whole = self._draw_objects(index, height, width)
        # What cannot be drawn may lie anywhere.
        categories_HW = np.full((height, width), self._background if whole else UNKNOWN, dtype=np.uint8)
        for number, mask_HW, is_box in drawn if self.category_names else ():  # what is small lies in front more often
            categories_HW[mask_HW] = UNKNOWN if is_box else number
        return categories_HW

    def read_objects(self, index: int) -> list[tuple[Mask, str]]:
        """See Source; an object without an outline is left out too."""
        height, width = self._image(index).shape[:2]
        names = dict(enumerate(self.category_names, start=1))
        drawn, _ = self._draw_objects(index, height, width)
        return [(mask, names.get(number, "")) for number, mask, is_box in drawn if number != UNKNOWN and not is_box]

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """The mask (H, W) of the largest object that is no crowd, or its filled box: a guess without language."""
        height, width = self._image(index).shape[:2]
        drawn, _ = self._draw_objects(index, height, width)
        singles = [mask_HW for number, mask_HW, _ in drawn if number != UNKNOWN] or [mask_HW for _, mask_HW, _ in drawn]
        return singles[0] if singles else np.zeros((height, width), dtype=np.bool_)

    def _draw_objects(
        self, index: int, height: int, width: int
    ) -> tuple[list[tuple[int, NDArray[np.bool_], bool]], bool]:
        """Category, mask and whether it is a box of every object, the largest first; and whether all could be drawn."""
        drawn: list[tuple[int, int, NDArray[np.bool_], bool]] = []
        objects = self._objects[index]
        for number, mask in objects:
            try:
                found, is_box = self._read_mask(mask, height, width)
                mask_HW = draw(found)
                drawn.append((-int(mask_HW.sum()), number, mask_HW, is_box))
            except (DataError, ImageError):
                continue  # told when its expressions are read; the caller learns that one is missing
        return [one[1:] for one in sorted(drawn, key=lambda one: one[:2])], len(drawn) == len(objects)

    def texts(self) -> Iterator[str]:
        """See Source."""
        return iter(self._texts)

    def has_photos(self) -> bool:
        """Whether any of its images is there."""
        return any(self._photos.has(self._files[index]) for index in range(len(self)))

    def missing_images(self) -> list[int]:
        """Numbers of the images whose file is not there."""
        return [index for index in range(len(self)) if not self._photos.has(self._files[index])]

    def image_name(self, index: int) -> str:
        """What the file calls image ``index``."""
        return self._files[index]

    @property
    def object_count(self) -> int:
        """Number of annotated objects on its images."""
        return sum(len(self._objects[index]) for index in range(len(self)))

    @property
    def unnamed_count(self) -> int:
        """Number of annotated objects on its images that no expression names."""
        named = sum(len(self._masks[referent]) for referent in np.unique(self._referent_N).tolist())
        return max(0, self.object_count - named)

    def mask_faults(self, index: int) -> list[str]:
        """What is wrong with the masks of image ``index``, told without decoding the photo.

        Raises:
            ImageError: where the photo is no image, or has another size than stated.
        """
        height, width = annotated_size(*self._photo(index))
        faults: list[str] = []
        start = int(self._starts[index])
        for positions in self.expression_groups(index):
            try:
                for mask in self._masks[int(self._referent_N[start + positions[0]])]:
                    self._read_mask(mask, height, width)
            except (DataError, ImageError) as error:
                faults.append(f"{self.image_path(index)}: {shown(self._texts[start + positions[0]])}: {error}")
        return faults

    def image_path(self, index: int) -> Path:
        """Where image ``index`` lies."""
        return self._photos.file(self._files[index])

    def _image(self, index: int) -> NDArray[np.uint8]:
        photo = self._photo(index)
        path, stated = photo[:2]
        image_HWC = read_annotated(*photo)
        if self._is_label_studio and stated is not None and read_size(path) != stated:
            raise ImageError(
                f"{path}: its EXIF orientation turns it, and Label Studio's COCO export scales the outlines of such "
                "photos wrongly; export JSON from Label Studio instead"
            )
        return image_HWC

    def _photo(
        self, index: int
    ) -> tuple[Path | Member, tuple[int, int] | None, Callable[[], list[Any]], tuple[Path, ...], Callable[[], bool]]:
        """What `raster.read_annotated` takes."""
        height, width = self._sizes[index]

        def masks() -> list[Any]:
            return [outline_of(mask) for _, mask in self._objects[index] if reason_of(mask) is None]

        stated = (height, width) if height and width else None
        return self._file(index), stated, masks, self._mask_roots, self._others_turned

    def _file(self, index: int) -> Path | Member:
        return self.image_path(index)

    def _others_turned(self) -> bool:
        """Whether some outlines leave the size that is stated for their image; asked for a few photos, if ever."""
        if self._turned is None:
            stated = [(at, (size[0], size[1])) for at, size in enumerate(self._sizes) if size[0] and size[1]]
            self._turned = are_turned(
                (size, [outline_of(mask) for _, mask in self._objects[at] if reason_of(mask) is None])
                for at, size in stated
            )
        return self._turned

    def _read_mask(self, mask: Any, height: int, width: int) -> tuple[Mask, bool]:
        """A mask, which must cover something, and whether it is a filled box."""
        reason = reason_of(mask)
        if reason is not None:
            raise DataError(reason)
        box = box_in(mask)
        if box is not None:
            return fill_box(box, height, width), True
        found = read_segmentation(mask, height, width, self._mask_roots)
        if not found.any():
            raise DataError('its mask covers no pixel of the image; say "no_target": true where nothing is named')
        return found, False


def outline_of(mask: Any) -> Any:
    """A mask as it is, and the four corners of a box: whether a turned photo is meant shows by both."""
    box = box_in(mask)
    return mask if box is None else rectangle(*box)


def open_jsonl(root: Path, split: str, image_root: Path | None = None) -> CustomSource:
    """A ``.jsonl`` file, or a folder with ``train.jsonl``, ``val.jsonl`` ... or a single one.

    Args:
        root: the file or folder.
        split: which expressions.
        image_root: folder of the photos; None: looked for.

    Raises:
        DataError: where the file is missing or broken, holds nothing of the split, or none of its photos is there.
    """
    path, stated = file_of_split(root, ".jsonl", split)

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        with collector_paused():
            lines = read_lines(path)
            content = content_of_lines(lines, path.parent, str(path), [stated] * len(lines), for_writing=False)
            return index_content(content, split, str(path))

    source = CustomSource.restored(cached(f"own lines {split} {stated}", [path], build), str(path))
    images = [{"file_name": name} for name in map(source.image_name, range(len(source)))]
    found = with_photos(Content([], {"images": images}, path.parent), path, stated, image_root)
    source.look_in(found)
    if not source.has_photos():
        raise lost_photos(found, path, stated, image_root)
    return source


def source_of(
    content: Content, path: Path, split: str, stated: str | None = None, image_root: Path | None = None
) -> CustomSource:
    """Records whose photos were looked for, as a source.

    Args:
        content: the records.
        path: of their file.
        split: which expressions.
        stated: the split that the file's name states.
        image_root: the folder of photos that the user names.

    Raises:
        DataError: where the split holds no expression, or none of its photos is there.
    """
    source = CustomSource(content, split, str(path))
    if not source.has_photos():
        raise lost_photos(content, path, stated, image_root)
    return source
