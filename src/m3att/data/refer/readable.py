"""Finds masks and photos that cannot be read, before a run needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from m3att.data.annotation import read_segmentation
from m3att.data.photos import PhotoFolder
from m3att.data.raster import read_annotated
from m3att.data.refer.tables import Tables
from m3att.errors import DataError, ImageError


def unreadable_masks(tables: Tables, folders: Sequence[Path]) -> list[str]:
    """Annotations of a split's referents whose mask cannot be drawn: none is there, or run lengths that do not fit.

    Args:
        tables: of the split.
        folders: where the names of masks in files may start from.
    """
    rows = sorted({row for ref in tables.refs.tolist() for row in tables.referents.targets(ref) if row >= 0})
    objects = tables.objects
    images = (objects.starts.searchsorted(rows, side="right") - 1).tolist()
    found = []
    for row, image in zip(rows, images, strict=True):
        segmentation = objects.segmentation(row)
        if isinstance(segmentation, list) and not objects.store["broken"][row]:
            continue  # whole polygons can be drawn at any size
        height, width = objects.image_sizes[image].tolist()
        try:
            if segmentation is None or min(height, width) > 0:  # else the photo says how large the mask should be
                read_segmentation(segmentation, height, width, folders)
        except (DataError, ImageError):
            found.append(f"annotation {int(objects.ids[row])}")
    return found


def unreadable_photos(tables: Tables, photos: PhotoFolder, progress: Callable[[int, int], None] | None) -> list[str]:
    """Photos of a split that are there and cannot be read to the end, or have another size than stated.

    Args:
        tables: of the split.
        photos: where they are.
        progress: called with the number done and the number in all; without it no photo is opened, and only those
            are found that are empty, as broken downloads leave them.

    Returns:
        Their names.
    """
    numbers = tables.image_numbers().tolist()
    found = []
    for done, number in enumerate(numbers, start=1):
        name = tables.objects.file_names[number]
        if name and not tables.objects.store["name_faults"][number] and photos.has(name):
            height, width = tables.objects.image_sizes[number].tolist()
            stated = (height, width) if min(height, width) > 0 else None
            rows = tables.objects.rows_of_image(number)
            masks = [tables.objects.segmentation(row) for row in rows] if progress else []
            path = photos.file(name)
            if not (_is_sound(path, stated, masks) if progress else path.stat().st_size):
                found.append(name)
        if progress:
            progress(done, len(numbers))
    return found


def _is_sound(path: Path, stated: tuple[int, int] | None, masks: Sequence[Any]) -> bool:
    """Whether a photo can be read, and is as large as stated where that is stated."""
    try:
        read_annotated(path, stated, lambda: masks)
    except ImageError:
        return False
    return True
