"""Reads data sets in the REFER layout: RefCOCO and its family, RefCLEF, and what the ShapeRef writer writes.

ROOT holds ``<dataset>/refs(<split_by>).p``, ``<dataset>/instances.json`` and ``images/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from m3att.data.images import read_image
from m3att.data.layout import paint_layout
from m3att.data.masks import decode_segmentation
from m3att.data.records import build_table, collector_paused, read_instances, read_refs, sentence_text
from m3att.data.sample import Sample
from m3att.data.splits import require_legal
from m3att.errors import DataError

UNKNOWN = 255  # in a map of categories
Pixels = Literal["auto", "photos", "layout"]


def image_folder(root: Path, dataset: str) -> Path:
    """Where the REFER layout keeps a data set's images."""
    if dataset.startswith("refcoco"):
        return root / "images" / "mscoco" / "images" / "train2014"
    if dataset == "refclef":
        return root / "images" / "saiapr_tc-12"
    return root / "images" / dataset


class ReferSource:
    """The images of one split with their expressions; a :class:`~m3att.data.source.Source`.

    Where the photos are not at hand, each annotated object is drawn in its box (see ``layout``), and masks are what is
    seen of it in the drawing; ``pixels`` says which of the two this source gives.

    Args:
        root: folder that holds ``<dataset>/`` and ``images/``.
        dataset: name of the data set, as in ``splits.SPLITS``.
        split_by: who made the split: ``unc``, ``google``, ``umd`` or ``berkeley``.
        split: ``train``, ``val``, ...
        pixels: ``photos``, ``layout``, or ``auto`` for photos where they are at hand and else the layout.
        image_root: folder of the images, where it is not the one of the REFER layout.
        every_object: keep the outlines of objects that no expression names too, for `read_categories` of photos.

    Raises:
        DataError: where the split is not legal, a file is missing or broken, or neither photos nor boxes are there.
    """

    def __init__(
        self,
        root: Path | str,
        dataset: str,
        split_by: str,
        split: str,
        pixels: Pixels = "auto",
        image_root: Path | str | None = None,
        every_object: bool = False,
    ) -> None:
        require_legal(dataset, split_by, split)
        self.root, self.dataset, self.split_by, self.split = Path(root), dataset, split_by, split
        self.image_root = Path(image_root) if image_root is not None else image_folder(self.root, dataset)
        self._every_object = every_object
        with collector_paused():
            self._load(pixels)

    def __len__(self) -> int:
        return len(self.image_ids)

    def expression_count(self, index: int) -> int:
        """Number of expressions of image ``index``."""
        return int(self._image_starts[index + 1] - self._image_starts[index])

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """Positions of image ``index``'s expressions, one tuple a referent (an entry of the refs file)."""
        start, stop = int(self._image_starts[index]), int(self._image_starts[index + 1])
        cuts = np.flatnonzero(np.diff(self._ref_numbers[start:stop])) + 1
        return tuple(tuple(group.tolist()) for group in np.split(np.arange(stop - start), cuts))

    def texts(self) -> Iterator[str]:
        """Every expression of the split."""
        return iter(self._texts)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """Image ``index`` with the expressions at the given positions, or with all of them.

        Raises:
            ImageError: where the photo is missing or damaged.
            DataError: where a referent has no mask.
        """
        positions = range(self.expression_count(index)) if expressions is None else expressions
        start = int(self._image_starts[index])
        flat = [start + int(position) for position in positions]
        rows = [int(self._rows[number]) for number in flat]
        distinct = list(dict.fromkeys(rows))
        mask_number = {row: number for number, row in enumerate(distinct)}
        image_HWC, masks_MHW = self._draw(index, distinct)
        return Sample(
            image_HWC=image_HWC,
            masks_MHW=masks_MHW,
            mask_index_N=tuple(mask_number[row] for row in rows),
            expressions=tuple(self._texts[number] for number in flat),
            expression_ids=tuple(int(self._sentence_ids[number]) for number in flat),
            image_id=self.image_ids[index],
            skills=tuple(self._skills.get(number, ()) for number in flat),
        )

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """The mask of the image's largest object that is no crowd region: what a guess without language can do.

        Largest is the visible area of a drawing, the annotated area of a photo.

        Returns:
            bool, (H, W).
        """
        rows = [row for row in self._table.rows_of_image(index) if not self._table.crowd[row]]
        rows = rows or list(self._table.rows_of_image(index))
        if self.pixels == "photos":
            rows = [max(rows, key=lambda row: float(self._table.areas[row]))]
        masks_AHW = self._draw(index, rows)[1]
        largest_HW: NDArray[np.bool_] = masks_AHW[int(np.argmax(masks_AHW.sum(axis=(1, 2))))]
        return largest_HW

    @property
    def category_names(self) -> tuple[str, ...]:
        """The names in instances.json, in the order of their ids."""
        return tuple(self.categories[id_] for id_ in sorted(self.categories))

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        """See Source; crowd regions and objects of no outline are unknown."""
        annotations = self._table.of_image(index)
        numbers = {id_: number for number, id_ in enumerate(sorted(self.categories), start=1)}
        labels = [UNKNOWN if one.is_crowd else numbers.get(one.category_id, UNKNOWN) for one in annotations]
        if self.pixels == "layout":
            height, width = (int(side) for side in self._sizes[index])
            _, owner_HW = paint_layout(height, width, annotations, self.categories)
            return np.array([*labels, 0], dtype=np.uint8)[owner_HW]  # the background's owner is -1
        height, width = read_image(self.image_path(index)).shape[:2]
        categories_HW = np.zeros((height, width), dtype=np.uint8)
        first = self._table.rows_of_image(index).start
        largest_first = sorted(range(len(labels)), key=lambda number: -float(self._table.areas[first + number]))
        for number in largest_first:  # outlines overlap at their rims, and what is small lies in front more often
            segmentation = self._segmentations.get(first + number)
            if segmentation is not None:
                categories_HW[decode_segmentation(segmentation, height, width)] = labels[number]
        return categories_HW

    def image_path(self, index: int) -> Path:
        """Where the photo of image ``index`` lies, or would lie."""
        return self.image_root / self._file_names[index]

    def _load(self, pixels: Pixels) -> None:
        folder = self.root / self.dataset
        refs = [ref for ref in read_refs(folder / f"refs({self.split_by}).p") if ref["split"] == self.split]
        refs = [ref for ref in refs if ref["sentences"]]
        if not refs:
            raise DataError(f"{folder}: refs({self.split_by}).p has no referent of split {self.split!r}")
        instances = read_instances(folder / "instances.json")
        if len(instances["categories"]) >= UNKNOWN:
            raise DataError(f"{folder}: instances.json has {len(instances['categories'])} categories; 254 are possible")
        self.categories: dict[int, str] = {entry["id"]: str(entry.get("name")) for entry in instances["categories"]}
        self._index_images(refs, instances)
        self._index_expressions(refs)
        self.pixels: Literal["photos", "layout"] = self._choose_pixels(pixels)
        self._segmentations = self._keep_segmentations(instances) if self.pixels == "photos" else {}

    def _index_images(self, refs: list[dict[str, Any]], instances: Mapping[str, Any]) -> None:
        self.image_ids: list[int] = sorted({ref["image_id"] for ref in refs})
        known = {entry["id"]: entry for entry in instances["images"]}
        missing = [image_id for image_id in self.image_ids if image_id not in known]
        if missing:
            raise DataError(f"{self.root / self.dataset}: instances.json lacks image {missing[0]} that refs name")
        entries = [known[image_id] for image_id in self.image_ids]
        self._file_names = [_safe_name(entry) for entry in entries]
        sizes = [(int(entry.get("height", 0)), int(entry.get("width", 0))) for entry in entries]
        self._sizes = np.array(sizes, dtype=np.int32)
        self._table = build_table(instances["annotations"], self.image_ids)

    def _index_expressions(self, refs: list[dict[str, Any]]) -> None:
        row_of = {(int(id_)): row for row, id_ in enumerate(self._table.ids)}
        number_of = {image_id: index for index, image_id in enumerate(self.image_ids)}
        of_image: list[list[dict[str, Any]]] = [[] for _ in self.image_ids]
        for ref in refs:
            of_image[number_of[ref["image_id"]]].append(ref)
        self._texts: list[str] = []
        self._skills: dict[int, tuple[str, ...]] = {}
        rows: list[int] = []
        sentence_ids: list[int] = []
        ref_numbers: list[int] = []
        starts = [0]
        for index, image_refs in enumerate(of_image):
            for number, ref in enumerate(image_refs):
                row = row_of.get(ref["ann_id"])
                if row is None or row not in self._table.rows_of_image(index):
                    raise DataError(
                        f"{self.root / self.dataset}: referent {ref['ref_id']} points to annotation {ref['ann_id']}, "
                        f"which image {ref['image_id']} does not have"
                    )
                for sentence in ref["sentences"]:
                    if skills := sentence.get("skills"):
                        self._skills[len(self._texts)] = tuple(skills)
                    self._texts.append(sentence_text(sentence))
                    sentence_ids.append(sentence["sent_id"])
                    rows.append(row)
                    ref_numbers.append(number)
            starts.append(len(self._texts))
        self._rows = np.array(rows, dtype=np.int64)
        self._sentence_ids = np.array(sentence_ids, dtype=np.int64)
        self._ref_numbers = np.array(ref_numbers, dtype=np.int32)
        self._image_starts = np.array(starts, dtype=np.int64)

    def _choose_pixels(self, wanted: Pixels) -> Literal["photos", "layout"]:
        if wanted not in ("auto", "photos", "layout"):
            raise DataError(f"pixels {wanted!r} is none of auto, photos, layout")
        if wanted == "photos":
            return "photos"
        has_photos = any(self.image_path(index).is_file() for index in range(len(self)))
        if wanted == "auto" and has_photos:
            return "photos"
        if np.isnan(self._table.boxes_A4).any() or (self._sizes <= 0).any():
            raise DataError(
                f"{self.root / self.dataset}: neither photos in {self.image_root} nor a box for every annotation; "
                "put the photos there or name their folder as image_root"
            )
        return "layout"

    def _keep_segmentations(self, instances: Mapping[str, Any]) -> dict[int, Any]:
        """Segmentations by table row, of the referents and of each image's largest object; the others are let go."""
        kept = set(self._rows.tolist())
        for index in range(len(self)):
            rows = list(self._table.rows_of_image(index))
            singles = [row for row in rows if not self._table.crowd[row]] or rows
            kept.add(max(singles, key=lambda row: float(self._table.areas[row])))
        if self._every_object:
            kept = set(range(len(self._table.ids)))
        row_of = {int(self._table.ids[row]): row for row in kept}
        return {
            row_of[entry["id"]]: entry.get("segmentation")
            for entry in instances["annotations"]
            if entry["id"] in row_of
        }

    def _draw(self, index: int, rows: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The pixels of image ``index`` and the masks of the given table rows."""
        if self.pixels == "layout":
            height, width = (int(side) for side in self._sizes[index])
            image_HWC, owner_HW = paint_layout(height, width, self._table.of_image(index), self.categories)
            first = int(self._table.starts[index])
            return image_HWC, np.stack([owner_HW == row - first for row in rows])
        image_HWC = read_image(self.image_path(index))
        height, width = image_HWC.shape[:2]
        stated = tuple(int(side) for side in self._sizes[index])
        if min(stated) > 0 and stated != (height, width):
            raise DataError(
                f"{self.image_path(index)}: {width} x {height}, but instances.json says {stated[1]} x {stated[0]}; "
                "the masks would not fit, download the image again"
            )
        masks = []
        for row in rows:
            try:
                masks.append(decode_segmentation(self._segmentations.get(row), height, width))
            except DataError as error:
                raise DataError(
                    f"{self.dataset}: annotation {int(self._table.ids[row])} of image {self.image_ids[index]}: {error}"
                ) from None
        return image_HWC, np.stack(masks)


def _safe_name(entry: Mapping[str, Any]) -> str:
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"instances.json: image {entry['id']} has no 'file_name'")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DataError(f"instances.json: image {entry['id']} is named {name!r}, outside the image folder")
    return name
