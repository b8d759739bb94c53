"""Decides whether annotations mean the upright or the stored pixels of a photo that EXIF turns on its side.

Some tools annotate the upright photo, others the stored one, and some state the size of one with outlines of the other.
The stated size and the outlines decide:

- the stated size is that of the upright photo, or the photo is square: upright;
- the stated size is that of the stored photo: as the outlines fit; where they fit both, upright if other outlines of
  the data set leave the size that is stated for them and fit it turned, else as it is stored;
- no size is stated: upright, but where the outlines fit only the stored photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import parts_of, read_segmentation
from m3att.data.images import SIDEWAYS, Member, read_image, read_orientation, read_size
from m3att.data.masks import is_polygon
from m3att.errors import DataError, ImageError

_RIM = 1.0  # pixels by which an outline may leave its image

Size = tuple[int, int]
"""Height and width in pixels."""


def read_annotated(
    path: Path | Member,
    stated: Size | None,
    masks: Callable[[], Iterable[Any]],
    folders: Sequence[Path] = (),
    others_turned: Callable[[], bool] = lambda: False,
) -> NDArray[np.uint8]:
    """Reads a photo as its annotations see it.

    Args:
        path: the file.
        stated: the size that the annotations state; None where they state none.
        masks: gives all outlines and masks of the photo, as they are written; asked only where the photo is turned.
        folders: where the names of mask files start from.
        others_turned: whether other outlines of the data set leave the size that is stated for them.

    Returns:
        uint8, (H, W, 3).

    Raises:
        ImageError: where the photo cannot be read, has another size than stated, or is turned by its EXIF orientation
            and its outlines fit neither way.
    """
    image_HWC = read_image(path)
    height, width = image_HWC.shape[:2]
    if is_upright(path, (height, width), stated, masks, folders, others_turned):
        return image_HWC
    return read_image(path, upright=False)


def annotated_size(
    path: Path | Member,
    stated: Size | None,
    masks: Callable[[], Iterable[Any]],
    folders: Sequence[Path] = (),
    others_turned: Callable[[], bool] = lambda: False,
) -> Size:
    """The size of the pixels that `read_annotated` gives, told from the header of the file. See there for the rest."""
    height, width = read_size(path)
    upright = is_upright(path, (height, width), stated, masks, folders, others_turned)
    return (height, width) if upright else (width, height)


def is_upright(
    path: Path | Member,
    size: Size,
    stated: Size | None,
    masks: Callable[[], Iterable[Any]],
    folders: Sequence[Path],
    others_turned: Callable[[], bool],
) -> bool:
    """Whether a photo's annotations mean it upright and not as its file stores it.

    Args:
        path: the file.
        size: its size when it is upright.
        stated: see read_annotated.
        masks: see read_annotated.
        folders: see read_annotated.
        others_turned: see read_annotated.

    Raises:
        ImageError: see read_annotated.
    """
    stored = (size[1], size[0])
    if size == stated or (stated is None and size == stored):
        return True
    turned = read_orientation(path) in SIDEWAYS
    if stated is not None and not (turned and stated == stored):
        way = f", turned by its EXIF orientation from {stored[1]} x {stored[0]}" if turned else ""
        raise ImageError(
            f"{path}: {size[1]} x {size[0]}{way}, but the annotations say {stated[1]} x {stated[0]}; "
            "the masks would not fit, use the photo that was annotated"
        )
    if not turned:
        return True
    outlines = list(masks())
    as_seen, as_stored = fits(outlines, size, folders), fits(outlines, stored, folders)
    if stated is None:
        return as_seen or not as_stored
    if not as_seen and not as_stored:
        raise ImageError(
            f"{path}: its EXIF orientation turns it to {size[1]} x {size[0]}, the annotations say {stored[1]} x "
            f"{stored[0]}, and its outlines fit neither; save it without the orientation and annotate it again"
        )
    return as_seen if as_seen != as_stored else others_turned()


def fits(masks: Iterable[Any], size: Size, folders: Sequence[Path] = ()) -> bool:
    """Whether all masks fit a size: outlines lie inside it, run lengths, arrays and pictures have it.

    Args:
        masks: as `annotation.read_segmentation` takes them; what is none fits every size.
        size: height and width in pixels.
        folders: where the names of mask files start from.
    """
    return all(_part_fits(part, size, folders) for mask in masks for part in _parts(mask))


def are_turned(images: Iterable[tuple[Size, Iterable[Any]]]) -> bool:
    """Whether the outlines of some image leave the size that is stated for it, and fit it turned on its side.

    Args:
        images: stated sizes and outlines.
    """
    for size, masks in images:
        if size[0] == size[1]:
            continue
        outlines = [part for mask in masks for part in _parts(mask) if is_polygon(part)]
        if not fits(outlines, size) and fits(outlines, (size[1], size[0])):
            return True
    return False


def _parts(mask: Any) -> list[Any]:
    if isinstance(mask, list | tuple):
        parts = parts_of(mask)
        if all(isinstance(part, str | Mapping) or is_polygon(part) for part in parts):
            return parts
    return [] if mask is None else [mask]


def _part_fits(part: Any, size: Size, folders: Sequence[Path]) -> bool:
    if isinstance(part, Mapping) and "size" in part:
        return list(part["size"]) == list(size) if isinstance(part["size"], list | tuple) else False
    if is_polygon(part):
        points_P2 = np.asarray(part, dtype=np.float64).reshape(-1, 2)
        width, height = points_P2.max(axis=0)
        return bool(points_P2.min() >= -_RIM and height <= size[0] + _RIM and width <= size[1] + _RIM)
    try:
        read_segmentation(part, *size, folders)
    except (DataError, ImageError):
        return False
    return True
