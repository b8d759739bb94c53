"""Masks as COCO writes them: polygons, run lengths, crowd regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from m3att.errors import DataError

FARTHEST = 100_000.0  # pixels; the rasteriser walks every pixel of an edge, inside the image or not


def decode_segmentation(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Rasterises one annotation's ``segmentation`` field.

    Polygons of fewer than three points enclose nothing and are left out, as long as a whole one remains.

    Args:
        segmentation: a list of polygons [x0, y0, x1, y1, ...] in pixels, or a run-length dict whose ``counts`` are a
            list (crowd regions of COCO) or a compressed text, or a list of such dicts.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        bool, (H, W).

    Raises:
        DataError: where nothing can be drawn: empty or broken polygons, or run lengths of another image size.
    """
    if isinstance(segmentation, dict):
        return _decode_rle(segmentation, height, width)
    if not isinstance(segmentation, list | tuple) or len(segmentation) == 0:
        raise DataError("the segmentation is empty; it needs a polygon or run lengths")
    if all(isinstance(part, dict) for part in segmentation):  # RefCLEF wraps its run lengths in a list
        united_HW = np.zeros((height, width), dtype=np.bool_)
        for part in segmentation:
            united_HW |= _decode_rle(part, height, width)
        return united_HW
    polygons = [polygon for polygon in segmentation if is_polygon(polygon)]
    if not polygons:
        raise DataError("the segmentation has no polygon of three or more points")
    codes = coco_mask.frPyObjects([np.asarray(p, dtype=np.float64).tolist() for p in polygons], height, width)
    return _drawn(coco_mask.merge(codes))


def is_polygon(polygon: Any) -> bool:
    """Whether this is a flat run of x and y with three or more points, none of them absurdly far out."""
    try:
        coordinates = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # a whole number may have any number of digits
        return False
    return (
        coordinates.ndim == 1
        and len(coordinates) >= 6
        and len(coordinates) % 2 == 0
        and bool((np.abs(coordinates) <= FARTHEST).all())  # false for NaN too
    )


def encode_rle(mask_HW: NDArray[np.bool_]) -> dict[str, Any]:
    """Writes a mask as COCO's compressed run lengths.

    Args:
        mask_HW: bool, (H, W).

    Returns:
        ``{"size": [H, W], "counts": text}``, ready for JSON.
    """
    code = coco_mask.encode(np.asfortranarray(mask_HW, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def mask_box(mask_HW: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Smallest box around a mask.

    Args:
        mask_HW: bool, (H, W).

    Returns:
        XYXY in pixels, the lower right corner exclusive; four zeros for an empty mask.
    """
    rows = np.flatnonzero(mask_HW.any(axis=1))
    if len(rows) == 0:
        return (0, 0, 0, 0)
    columns = np.flatnonzero(mask_HW.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _decode_rle(code: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    size, counts = code.get("size"), code.get("counts")
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise DataError(f"run lengths of size {size} on an image of {[height, width]}")
    if isinstance(counts, list | tuple):
        lengths = np.asarray(counts)
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
            raise DataError("run lengths are not a list of counts")
        if int(lengths.sum()) != height * width:
            raise DataError(f"run lengths cover {int(lengths.sum())} of {height * width} pixels")
        values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        return np.ascontiguousarray(values.reshape(width, height).T)  # COCO runs down the columns
    if not isinstance(counts, str | bytes) or len(counts) == 0:
        raise DataError("run lengths without counts")
    packed = counts.encode("latin1", errors="replace") if isinstance(counts, str) else counts
    covered = _compressed_length(packed)
    if covered != height * width:  # pycocotools would write past its buffer, or leave rubbish
        raise DataError(f"run lengths cover {covered} of {height * width} pixels")
    return _to_bool({"size": [height, width], "counts": packed})


def _compressed_length(packed: bytes) -> int:
    """Pixels that compressed run lengths cover; -1 where they are broken."""
    lengths: list[int] = []
    position = 0
    while position < len(packed):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(packed) or not 48 <= packed[position] < 112 or shift > 60:
                return -1
            chunk = packed[position] - 48
            value |= (chunk & 0x1F) << shift
            more = bool(chunk & 0x20)
            position += 1
            shift += 5
            if not more and chunk & 0x10:
                value -= 1 << shift
        if len(lengths) > 2:  # from the fourth on, each is told by its difference to the last but one
            value += lengths[-2]
        if value < 0:
            return -1
        lengths.append(value)
    return sum(lengths)


def _to_bool(code: Any) -> NDArray[np.bool_]:
    decoded: NDArray[np.bool_] = np.ascontiguousarray(coco_mask.decode(code)).view(np.bool_)
    return decoded


def _drawn(code: Any) -> NDArray[np.bool_]:
    """Draws run lengths of pycocotools' own making, and only the columns that they reach: most objects are small."""
    height, width = code["size"]
    left, columns = (round(float(side)) for side in coco_mask.toBbox(code)[[0, 2]])
    mask_HW = np.zeros((height, width), dtype=np.bool_)
    if columns:
        counts = _without_margins(code["counts"], left * height, (width - left - columns) * height)
        mask_HW[:, left : left + columns] = coco_mask.decode({"size": [height, columns], "counts": counts})
    return mask_HW


def _without_margins(packed: bytes, before: int, behind: int) -> bytes:
    """Shortens the first and the last of compressed run lengths, which are both of nothing where they are shortened.

    The first is no base of any difference, and the last only has one, so the others stand as they are.
    """
    if before:
        stop = next(place for place, byte in enumerate(packed) if not (byte - 48) & 0x20) + 1
        packed = _pack_number(_unpack_number(packed[:stop]) - before) + packed[stop:]
    if behind:
        start = len(packed) - 1
        while start > 0 and (packed[start - 1] - 48) & 0x20:
            start -= 1
        packed = packed[:start] + _pack_number(_unpack_number(packed[start:]) - behind)
    return packed


def _unpack_number(packed: bytes) -> int:
    value = sum(((byte - 48) & 0x1F) << (5 * place) for place, byte in enumerate(packed))
    return value - (1 << (5 * len(packed))) if (packed[-1] - 48) & 0x10 else value


def _pack_number(value: int) -> bytes:
    packed = bytearray()
    while True:
        chunk, value = value & 0x1F, value >> 5
        if value == (-1 if chunk & 0x10 else 0):
            packed.append(chunk + 48)
            return bytes(packed)
        packed.append(chunk + 0x20 + 48)
