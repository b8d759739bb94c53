"""Reads the masks of annotation entries, in every form."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from m3att.data.images import MAX_PIXELS, decode_mask, read_mask, to_mask
from m3att.data.masks import RunLengths, is_polygon, pack_mask, read_lengths
from m3att.errors import DataError, shown

_PNG = b"\x89PNG"
_PNG_AS_TEXT = "iVBORw0KGgo"  # the beginning of every PNG in base64
_DEEPEST = 4  # lists in lists, of a polygon in a part in a list of parts
_FEW = 8  # polygons, or numbers of one; with as many rows and columns of 0 and 1, lists are an array


def decode_segmentation(segmentation: Any, height: int, width: int, folders: Sequence[Path] = ()) -> NDArray[np.bool_]:
    """Rasterises one annotation's mask; see `read_segmentation`.

    Args:
        segmentation: in any form.
        height: image height in pixels.
        width: image width in pixels.
        folders: where the name of a file may start from.

    Returns:
        bool, (H, W).
    """
    return read_segmentation(segmentation, height, width, folders).draw()


def read_segmentation(segmentation: Any, height: int, width: int, folders: Sequence[Path] = ()) -> RunLengths:
    """One annotation's mask as run lengths, whatever form it was written in.

    Args:
        segmentation: polygons in pixels (``[x, y, x, y, ...]``, a list of these, pairs of points, or lists of pairs),
            run lengths as `masks.read_lengths` reads them, a list of both; an array of the image's size, as an array or
            as nested lists; a picture (Pillow, the bytes of a file, or base64), or the name of a picture file; or the
            JSON text of one of these.
        height: image height in pixels.
        width: image width in pixels.
        folders: where the name of a file may start from; the first that holds it is taken.

    Raises:
        DataError: where it is empty, where any part of it is broken, or of another size than the image, or where no
            image has such a size.
        ImageError: where it is a picture that cannot be read.
    """
    if height * width > MAX_PIXELS:  # more than pycocotools has memory for; it does not check this
        raise DataError(f"a mask of {width} x {height} is more than {MAX_PIXELS // 10**6} megapixels")
    if isinstance(segmentation, str):
        return _read_text(segmentation, height, width, folders)
    if (
        isinstance(segmentation, Mapping)
        and "counts" not in segmentation
        and (segmentation.get("bytes") or segmentation.get("path"))
    ):  # a picture of a Hugging Face data set that was not decoded
        segmentation = segmentation.get("bytes") or Path(str(segmentation["path"]))
    if isinstance(segmentation, bytes | bytearray | Path | Image.Image):
        return _fitting(_read_picture(segmentation), height, width)
    array = as_array(segmentation, height, width)
    if array is not None:
        return _fitting(array, height, width)
    parts = parts_of(segmentation)
    if not parts:
        raise DataError("the segmentation is empty; it needs a polygon or run lengths")
    codes: list[dict[str, Any]] = []
    polygons: list[Any] = []
    for number, part in enumerate(parts, start=1):
        if isinstance(part, str):
            codes.append(_read_text(part, height, width, folders).code())
        elif isinstance(part, Mapping):
            codes.append(read_lengths(part, height, width).code())
        elif is_polygon(part):
            polygons.append(np.asarray(part, dtype=np.float64).tolist())
        elif len(parts) == 1:
            raise DataError("the segmentation has no polygon of three or more points")
        else:
            raise DataError(
                f"part {number} of {len(parts)} of the segmentation is no polygon of three or more points; mend it, or "
                "remove it"
            )
    if polygons:
        codes += coco_mask.frPyObjects(polygons, height, width)
    return RunLengths(height, width, coco_mask.merge(codes)["counts"])


def parts_of(segmentation: Any, depth: int = 0) -> list[Any]:
    """The polygons, each a flat list of x and y, and the run lengths that a segmentation consists of.

    Args:
        segmentation: as `read_segmentation` takes it, if neither text nor picture.
        depth: how many lists it stands in.

    Returns:
        The parts in their order; what is no part, as an empty list or a text, stays what it is.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.ndim == 1 and segmentation.dtype.kind in "iuf":
            return [segmentation]
        segmentation = segmentation.tolist()
    if not isinstance(segmentation, list | tuple):
        return [segmentation] if segmentation or depth else []
    if not segmentation:
        return [segmentation] if depth else []
    if all(isinstance(one, str) and not _is_number(one) for one in segmentation):
        return list(segmentation)  # files, or pictures
    if not isinstance(segmentation[0], list | tuple | Mapping | np.ndarray) and segmentation[0] is not None:
        return [segmentation]  # x, y, x, y ...
    if all(map(_is_point, segmentation)):
        return [[side for point in segmentation for side in (point.values() if isinstance(point, dict) else point)]]
    if depth == _DEEPEST:
        return [segmentation]
    return [part for one in segmentation for part in parts_of(one, depth + 1)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_point(value: Any) -> bool:
    """Whether this is a pair of numbers, or the dict {"x": ..., "y": ...}."""
    if isinstance(value, dict):
        return list(value) == ["x", "y"]
    return (
        isinstance(value, list | tuple | np.ndarray)
        and len(value) == 2
        and not isinstance(value[0], list | tuple | Mapping | np.ndarray)
    )


def as_array(value: Any, height: int, width: int) -> NDArray[np.bool_] | None:
    """A mask that is an array of the image's size, or of another where it can be nothing else.

    Args:
        value: of any form.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        bool, (H, W), several channels united; None where it is no array.
    """
    shape = _shape_of(value)
    fits = len(shape) in (2, 3) and (height, width) in (shape[:2], shape[1:])
    is_bool = len(shape) == 2 and min(shape) > 0 and isinstance(value[0][0], bool | np.bool_)
    if not fits and not is_bool and not (len(shape) == 2 and min(shape) >= _FEW):
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        return None
    if array.shape != shape or array.dtype.kind not in "biuf":
        return None
    if not fits and not np.isin(array, (0, 1, 255)).all():  # nothing but 0 and 1, as no polygons hold
        return None
    if len(shape) == 2:
        return np.asarray(array != 0)
    return np.asarray((array != 0).any(axis=0 if shape[1:] == (height, width) else 2))


def _shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, if all are as long as the first of them."""
    if isinstance(value, np.ndarray):
        return tuple(value.shape)
    shape: list[int] = []
    while isinstance(value, list | tuple | np.ndarray) and len(shape) <= 3:
        shape.append(len(value))
        value = value[0] if len(value) else None
    return tuple(shape)


def _fitting(mask_HW: NDArray[np.bool_], height: int, width: int) -> RunLengths:
    if mask_HW.shape != (height, width):
        raise DataError(f"the mask is {mask_HW.shape[1]} x {mask_HW.shape[0]}, but the image {width} x {height}")
    return pack_mask(mask_HW)


def _read_text(text: str, height: int, width: int, folders: Sequence[Path]) -> RunLengths:
    text = text.strip()
    if text[:1] in ("[", "{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise DataError(f"the mask {shown(text)} is no JSON") from None
        return read_segmentation(value, height, width, folders)
    if text.startswith((_PNG_AS_TEXT, "data:image/")):
        try:
            content = base64.b64decode(text[text.find(",") + 1 :])
        except (binascii.Error, ValueError):
            raise DataError(f"the mask {shown(text)} is no base64 of a picture") from None
        return _fitting(_read_picture(content), height, width)
    if not text or "\0" in text or len(text) > 4096:
        raise DataError(f"the mask {shown(text)} is neither a polygon nor the name of a file")
    paths = [folder / as_path(text) for folder in folders]
    if not paths:
        raise DataError(f"the mask {shown(text)} lies in a file of its own")
    return _fitting(_read_picture(next((path for path in paths if path.is_file()), paths[0])), height, width)


def _read_picture(value: bytes | bytearray | Path | Image.Image) -> NDArray[np.bool_]:
    if isinstance(value, Path):
        return read_mask(value)
    if isinstance(value, Image.Image):
        return to_mask(value)
    return decode_mask(bytes(value), "the picture of the mask")


def as_path(name: str) -> str:
    """A file's name with slashes, as every system reads it; files that Windows wrote may have backslashes."""
    return name.replace("\\", "/")
