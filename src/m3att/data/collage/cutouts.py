"""A library of real objects cut out of photos, and of the photos without them, from COCO files with outlines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.collage.colours import COLOURS, PARTS, colour_shares
from m3att.data.collage.people import PEOPLE, person_of
from m3att.data.images import read_image
from m3att.data.own.coco import ABOUT
from m3att.data.refer.store import Arrays, Store, cached
from m3att.errors import DataError

LONGEST = 224  # pixels; a cut-out is kept no larger, since collages are about as large as a network's input
SMALLEST = 14  # pixels of an object's longer side in its photo, under which nobody could tell what it is
BACKGROUND = 288  # pixels of the longer side of a background
MOST_COVERED = 0.6  # share of a photo under objects, over which too little is left for a background
_RIM = 1.5  # pixels within which an object counts as cut off by the edge of its photo
MARGIN = 1  # pixels around a cut-out, over which its edge fades
_COLUMNS = ("categories", "cut_off", "colours", "wholeness", "brightness", "people")

Outlined = tuple[str, NDArray[np.bool_], bool, str]
"""Category and mask (H, W) of an object of a photo, whether it is a crowd region, and who it is; see `person_of`."""


@dataclass(frozen=True, slots=True)
class Cutouts:
    """The cut-outs of one category, as columns to choose from.

    Args:
        rows: their numbers in the library, (K,).
        log_aspects: logarithm of height over width, (K,).
        log_sides: logarithm of the geometric mean of height and width in pixels, (K,).
        cut_off: whether the photo ended at the object's left, top, right and lower side, (K, 4).
        colours: see `colour_shares`, (K, parts, colours).
        wholeness: share of the outline's pixels that hang together; what stands before an object cuts it in pieces,
            (K,).
        people: what is known of a person, as numbers into `PEOPLE`, (K,).
    """

    rows: NDArray[np.int64]
    log_aspects: NDArray[np.float32]
    log_sides: NDArray[np.float32]
    cut_off: NDArray[np.bool_]
    colours: NDArray[np.float32]
    wholeness: NDArray[np.float32]
    people: NDArray[np.uint8]


class CutoutLibrary:
    """Cut-outs by category, and backgrounds.

    Args:
        store: made by `open_cutouts`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        categories, sizes = store["cutout_categories"], store["cutout_sizes"]
        sides = np.maximum(sizes - 2 * MARGIN, 1).astype(np.float32)
        log_aspects = np.log(sides[:, 0] / sides[:, 1])
        log_sides = np.log(sides).mean(axis=1)
        self.of_category: dict[str, Cutouts] = {}
        for number, name in enumerate(store.notes["categories"]):
            rows = np.flatnonzero(categories == number)
            if len(rows):
                self.of_category[name] = Cutouts(
                    rows,
                    log_aspects[rows],
                    log_sides[rows],
                    store["cut_off"][rows],
                    store["colours"][rows],
                    store["wholeness"][rows],
                    store["people"][rows],
                )

    def __reduce__(self) -> tuple[Any, ...]:
        return (CutoutLibrary, (self.store,))

    def __len__(self) -> int:
        return len(self.store["cutout_sizes"])

    @property
    def backgrounds(self) -> int:
        """Number of backgrounds."""
        return len(self.store["background_sizes"])

    def cutout(self, row: int) -> NDArray[np.uint8]:
        """One cut-out with its opacity as fourth channel, RGBA (H, W, 4); a margin around it is clear."""
        return self._picture("cutout", row, 4)

    def brightness(self, row: int) -> float:
        """Mean grey level of a cut-out, in [0, 255]."""
        return float(self.store["brightness"][row])

    def background(self, number: int) -> NDArray[np.uint8]:
        """A photo whose objects were painted over from around them, RGB (H, W, 3)."""
        return self._picture("background", number, 3)

    def _picture(self, kind: str, number: int, channels: int) -> NDArray[np.uint8]:
        height, width = self.store[f"{kind}_sizes"][number].tolist()
        start = int(self.store[f"{kind}_starts"][number])
        pixels = self.store[f"{kind}_pixels"][start : start + height * width * channels]
        return pixels.reshape(height, width, channels)


def open_cutouts(files: Sequence[Path]) -> CutoutLibrary:
    """Reads COCO files with polygons or run lengths and cuts their objects out, or takes all that from the cache.

    The photos lie beside a file, in a folder of the file's name, or in a folder `images`. Crowd regions and objects of
    under `SMALLEST` pixels are passed over. Backgrounds come of files that outline every object of their categories.

    Raises:
        DataError: where a file or a photo is missing or broken, or no object is left.
    """
    return CutoutLibrary(cached("cutouts", files, lambda: _build(files)))


def _build(files: Sequence[Path]) -> tuple[Arrays, Mapping[str, Any]]:
    names: dict[str, int] = {}
    cutouts: list[NDArray[np.uint8]] = []
    backgrounds: list[NDArray[np.uint8]] = []
    columns: dict[str, list[Any]] = {key: [] for key in _COLUMNS}
    for file in files:
        for image_HWC, objects, every_object in _photos(file):
            covered_HW = np.zeros(image_HWC.shape[:2], dtype=np.bool_)
            for name, mask_HW, is_crowd, person in objects:
                covered_HW |= mask_HW
                made = None if is_crowd else _cut_out(image_HWC, mask_HW)
                if made is not None:
                    picture, cut_off, colours = made
                    cutouts.append(picture)
                    columns["categories"].append(names.setdefault(name, len(names)))
                    columns["cut_off"].append(cut_off)
                    columns["colours"].append(colours)
                    columns["wholeness"].append(_wholeness(mask_HW))
                    columns["brightness"].append(_brightness(picture))
                    columns["people"].append(PEOPLE.index(person))
            if every_object and covered_HW.mean() <= MOST_COVERED:
                backgrounds.append(_without(image_HWC, covered_HW))
    where = ", ".join(map(str, files))
    if not cutouts:
        raise DataError(f"{where}: no object that could be cut out; give a COCO file with outlines")
    if not backgrounds:
        raise DataError(f"{where}: objects cover every photo, or are not all outlined; a background needs free room")
    arrays = {
        **_packed("cutout", cutouts),
        **_packed("background", backgrounds),
        "cutout_categories": np.array(columns["categories"], dtype=np.int32),
        "cut_off": np.array(columns["cut_off"], dtype=np.bool_),
        "colours": np.array(columns["colours"], dtype=np.float32).reshape(-1, len(PARTS), len(COLOURS)),
        "wholeness": np.array(columns["wholeness"], dtype=np.float32),
        "brightness": np.array(columns["brightness"], dtype=np.float32),
        "people": np.array(columns["people"], dtype=np.uint8),
    }
    return arrays, {"categories": list(names)}


def _photos(file: Path) -> Iterator[tuple[NDArray[np.uint8], list[Outlined], bool]]:
    """Each photo of a COCO file, its objects, and whether these are all."""
    try:
        content = json.loads(file.read_bytes())
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        annotations: dict[int, list[dict[str, Any]]] = {}
        for entry in content["annotations"]:
            annotations.setdefault(entry["image_id"], []).append(entry)
        images = [(entry["id"], str(entry["file_name"])) for entry in content["images"]]
        every_object = bool(content.get(ABOUT, {}).get("every_object", True))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check data.cutouts") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file}: not a COCO file with images, annotations and categories ({error!r:.80})") from None
    for image_id, name in images:
        path = next((p for p in (file.parent / name, file.with_suffix("") / name) if p.is_file()), None)
        image_HWC = read_image(path or file.parent / "images" / name)
        height, width = image_HWC.shape[:2]
        objects: list[Outlined] = []
        for entry in annotations.get(image_id, ()):
            try:
                mask = read_segmentation(entry.get("segmentation"), height, width)
                person = person_of(entry)
            except DataError as error:
                raise DataError(f"{file}: annotation {entry.get('id')} of image {image_id}: {error}") from None
            name_of = categories.get(entry.get("category_id"))
            if name_of is None:
                raise DataError(f"{file}: annotation {entry.get('id')} of image {image_id} has no known category")
            objects.append((name_of, mask.draw(), bool(entry.get("iscrowd", 0)), person))
        yield image_HWC, objects, every_object


def _cut_out(
    image_HWC: NDArray[np.uint8], mask_HW: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], tuple[bool, bool, bool, bool], NDArray[np.float32]] | None:
    """An object as RGBA, by which sides of the photo it is cut off, and its colours; None where it is too small."""
    height, width = mask_HW.shape
    x, y, w, h = cv2.boundingRect(mask_HW.view(np.uint8))
    if max(w, h) < SMALLEST or min(w, h) < 2:
        return None
    cut_off = (x < _RIM, y < _RIM, x + w > width - _RIM, y + h > height - _RIM)
    image_hwC, mask_hw = image_HWC[y : y + h, x : x + w], mask_HW[y : y + h, x : x + w]
    colours = colour_shares(image_hwC, mask_hw, cut_off[3])
    # Its own colours go on beyond the outline, so that no rim of its old surroundings shows where the edge fades.
    outside_hw = (~mask_hw).astype(np.uint8)
    eroded_hw = cv2.erode(mask_hw.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    _, labels_hw = cv2.distanceTransformWithLabels(
        1 - eroded_hw if eroded_hw.any() else outside_hw, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    sure_hw = eroded_hw > 0 if eroded_hw.any() else mask_hw
    nearest = np.zeros((int(labels_hw.max()) + 1, 3), dtype=np.uint8)
    nearest[labels_hw[sure_hw]] = image_hwC[sure_hw]
    rgba_hw4 = np.dstack([nearest[labels_hw], mask_hw.view(np.uint8) * np.uint8(255)])
    scale = LONGEST / max(h, w)
    if scale < 1:
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        rgba_hw4 = cv2.resize(rgba_hw4, size, interpolation=cv2.INTER_AREA)
    rgba_hw4 = cv2.copyMakeBorder(rgba_hw4, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    alpha_hw = np.array(rgba_hw4[:, :, 3], dtype=np.uint8)
    for rim, cut in zip((alpha_hw[:, 0], alpha_hw[0], alpha_hw[:, -1], alpha_hw[-1]), cut_off, strict=True):
        if not cut:  # clear all along, so that the edge fades; what the photo cut off ends sharply
            rim[:] = 0
    framed_hw4: NDArray[np.uint8] = np.dstack([rgba_hw4[:, :, :3], alpha_hw]).astype(np.uint8)
    return framed_hw4, cut_off, colours


def _wholeness(mask_HW: NDArray[np.bool_]) -> float:
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask_HW.view(np.uint8))
    areas = parts[1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _brightness(rgba_HW4: NDArray[np.uint8]) -> float:
    grey_HW = cv2.cvtColor(rgba_HW4[:, :, :3], cv2.COLOR_RGB2GRAY)
    return float(cv2.mean(grey_HW, mask=rgba_HW4[:, :, 3])[0])


def _without(image_HWC: NDArray[np.uint8], covered_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A photo without its objects: what surrounds them is painted over them, at a quarter of the size to save time."""
    scale = BACKGROUND / max(image_HWC.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in image_HWC.shape[1::-1])
    photo_HWC = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA)
    cover_HW = cv2.dilate(covered_HW.view(np.uint8), np.ones((5, 5), np.uint8))
    cover_HW = cv2.resize(cover_HW, size, interpolation=cv2.INTER_NEAREST)
    small = tuple(max(1, side // 4) for side in size)
    small_cover = (cv2.resize(cover_HW * np.uint8(255), small, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    small_photo = cv2.resize(photo_HWC, small, interpolation=cv2.INTER_AREA)
    painted_HWC = cv2.inpaint(small_photo, small_cover, 3, cv2.INPAINT_TELEA) if small_cover.any() else small_photo
    painted_HWC = cv2.resize(painted_HWC, size, interpolation=cv2.INTER_CUBIC)
    share_HW1 = cv2.GaussianBlur(cover_HW.astype(np.float32), (0, 0), 2.0)[:, :, None]
    share_HW1 = np.maximum(share_HW1, cover_HW[:, :, None])
    mixed_HWC = photo_HWC * (1 - share_HW1) + painted_HWC * share_HW1
    return np.asarray(mixed_HWC.round(), dtype=np.uint8)


def _packed(kind: str, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Pictures of many sizes in one array, with their sizes (N, 2) and starts (N,)."""
    sizes = np.array([picture.shape[:2] for picture in pictures], dtype=np.int32)
    lengths = np.array([picture.size for picture in pictures], dtype=np.int64)
    return {
        f"{kind}_pixels": np.concatenate([picture.reshape(-1) for picture in pictures]),
        f"{kind}_sizes": sizes,
        f"{kind}_starts": np.cumsum(lengths) - lengths,
    }
