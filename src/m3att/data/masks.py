"""Masks as run lengths, as pixels, and as outlines; `annotation` reads them from annotation files."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from m3att.errors import DataError, shown

FARTHEST = 100_000.0  # pixels; the rasteriser visits every pixel of an edge, also outside the image


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as COCO's compressed run lengths: runs down the columns, alternately outside and inside the object.

    It takes a few hundred bytes. It can be sent to processes, united and shrunk without being drawn.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        counts: compressed run lengths that cover the image exactly; only the first may be of no pixel.
    """

    height: int
    width: int
    counts: bytes

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), as of an array."""
        return self.height, self.width

    def any(self) -> bool:
        """Whether it covers a pixel, as of an array."""
        return bool(coco_mask.area(self.code()) > 0)

    def code(self) -> dict[str, Any]:
        """As pycocotools takes it."""
        return {"size": [self.height, self.width], "counts": self.counts}

    def lengths(self) -> NDArray[np.int64]:
        """The runs' lengths in pixels, (R,), that of a run without the object first; it may be 0."""
        return lengths_of([self])[0]

    def draw(self) -> NDArray[np.bool_]:
        """The pixels, (H, W)."""
        lengths = self.lengths()
        covered_P = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        columns_WH = covered_P.view(np.uint8).reshape(self.width, self.height)
        drawn_HW: NDArray[np.bool_] = np.ascontiguousarray(cv2.transpose(columns_WH)).view(np.bool_)
        return drawn_HW.reshape(self.height, self.width)


Mask = NDArray[np.bool_] | RunLengths
"""A mask at its image's own size: pixels (H, W), or run lengths."""


def draw(mask: Mask) -> NDArray[np.bool_]:
    """A mask's pixels, (H, W)."""
    return mask.draw() if isinstance(mask, RunLengths) else mask


def unite(masks: Sequence[Mask], height: int, width: int) -> Mask:
    """The union of several masks; an empty mask if there are none.

    Args:
        masks: of one size.
        height: image height in pixels.
        width: image width in pixels.
    """
    if not masks:
        return pack_lengths(np.array([height * width]), height, width)
    if len(masks) == 1:
        return masks[0]
    codes = [mask.code() for mask in masks if isinstance(mask, RunLengths)]
    if len(codes) == len(masks):
        return RunLengths(height, width, coco_mask.merge(codes)["counts"])
    united_HW: NDArray[np.bool_] = np.logical_or.reduce([draw(mask) for mask in masks])
    return united_HW


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


def pack_mask(mask_HW: NDArray[np.bool_]) -> RunLengths:
    """A mask's pixels, (H, W), as run lengths."""
    height, width = mask_HW.shape
    return RunLengths(height, width, coco_mask.encode(np.asfortranarray(mask_HW, dtype=np.uint8))["counts"])


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


def read_lengths(code: Mapping[str, Any], height: int, width: int) -> RunLengths:
    """Reads run lengths as COCO's tools write them.

    Args:
        code: ``{"size": [height, width], "counts": ...}``; the counts are a list of whole numbers, compressed bytes or
            text, or a text that shows such bytes (``"b'...'"``), as ``str`` makes one of them.
        height: image height in pixels.
        width: image width in pixels.

    Raises:
        DataError: where they are damaged, or of another size than the image.
    """
    size, counts = code.get("size"), code.get("counts")
    if isinstance(size, np.ndarray):
        size = size.tolist()
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise DataError(f"run lengths of size {shown(size)} on an image of {[height, width]}")
    lengths: NDArray[Any] | None
    if isinstance(counts, list | tuple | np.ndarray):
        try:
            lengths = np.asarray(counts)
        except ValueError:  # lists of several lengths in the list
            lengths = None
        if lengths is not None and lengths.dtype.kind == "f" and (lengths == np.rint(lengths)).all():
            lengths = lengths.astype(np.int64) if (np.abs(lengths) < 2**53).all() else None
        if lengths is None or lengths.ndim != 1 or lengths.dtype.kind not in "iu":
            raise DataError("run lengths are not a list of counts")
    elif isinstance(counts, str | bytes) and len(counts) > 0:
        packed = _packed_bytes(counts)
        unpacked = unpack_lengths([packed]) if is_packed(packed) else [None]
        lengths = unpacked[0]
    else:
        raise DataError("run lengths without counts")
    if lengths is None or (lengths < 0).any():
        raise DataError("run lengths are damaged")
    covered = sum(lengths.tolist())  # whole numbers of Python do not overflow
    if covered != height * width:  # pycocotools would write past its buffer, or leave rubbish
        raise DataError(f"run lengths cover {covered} of {height * width} pixels")
    return pack_lengths(lengths.astype(np.int64), height, width)


def _packed_bytes(counts: str | bytes) -> bytes:
    """Compressed counts as bytes, whatever they were written as; no quotation mark is one of COCO's letters."""
    if isinstance(counts, bytes):
        return counts
    if counts[:1] == "b" and counts[1:2] in ("'", '"') and counts[-1:] == counts[1:2]:
        try:
            literal = ast.literal_eval(counts)
        except (SyntaxError, ValueError):
            literal = None
        if isinstance(literal, bytes):
            return literal
    return counts.encode("latin1", errors="replace")


def pack_lengths(lengths: NDArray[np.int64], height: int, width: int) -> RunLengths:
    """Run lengths in a canonical form, on which all later code relies.

    Runs of no pixel are removed, because pycocotools' buffers have no room for them, and their neighbours are joined.

    Args:
        lengths: pixels of each run, column by column, the first run outside the object.
        height: image height in pixels.
        width: image width in pixels.
    """
    held = np.flatnonzero(lengths)
    first = np.flatnonzero(np.diff(held % 2, prepend=-1))  # where the object begins or ends
    joined = np.add.reduceat(lengths[held], first).tolist()
    counts = [0, *joined] if held[0] % 2 == 1 else joined
    code = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return RunLengths(height, width, code["counts"])


def lengths_of(masks: Sequence[RunLengths]) -> list[NDArray[np.int64]]:
    """The runs' lengths of several masks, (R,) each; a call for all is much quicker than one for each."""
    return unpack_lengths([mask.counts for mask in masks])


def is_packed(packed: bytes) -> bool:
    """Whether these are whole numbers in COCO's compressed form, of 40 bits at most, more than any image has pixels."""
    chunk = np.frombuffer(packed, dtype=np.uint8) - np.uint8(48)
    last = np.flatnonzero((chunk & 0x20) == 0)
    return (
        len(last) > 0
        and int(chunk.max()) < 64
        and int(last[-1]) == len(chunk) - 1
        and int(np.diff(last, prepend=-1).max()) <= 8
    )


def unpack_lengths(packed: Sequence[bytes]) -> list[NDArray[np.int64]]:
    """Run lengths of COCO's compressed form.

    Each number is written in chunks of five bits, the lowest first, with a sixth bit where another chunk follows and
    the sign in the last one's highest; from the fourth on, each is told by its difference to the last but one.

    Args:
        packed: compressed lengths that `is_packed`, one a mask.

    Returns:
        (R,) in pixels, one a mask.
    """
    chunk = np.frombuffer(b"".join(packed), dtype=np.uint8) - np.uint8(48)
    last = np.flatnonzero((chunk & 0x20) == 0)
    chunks = np.diff(last, prepend=-1)
    first = last + 1 - chunks
    shift = 5 * (np.arange(len(chunk)) - np.repeat(first, chunks))
    numbers: NDArray[np.int64] = np.add.reduceat((chunk & 0x1F).astype(np.int64) << shift, first)
    numbers -= ((chunk[last] & 0x10) != 0) * (np.int64(1) << 5 * chunks)
    stops = np.searchsorted(last, np.cumsum([len(one) for one in packed])).tolist()
    found = [numbers[start:stop] for start, stop in pairwise([0, *stops])]
    for lengths in found:
        for start in (1, 2):
            np.cumsum(lengths[start::2], out=lengths[start::2])
    return found


class Polygon(NamedTuple):
    """One connected part of a mask. Pixels that touch only at a corner are not connected.

    Args:
        outer: corners x, y of its outline along the edges of pixels, (R, 2) int32; the last one is joined to the first.
        holes: outlines of its holes, each as ``outer``.
    """

    outer: NDArray[np.int32]
    holes: list[NDArray[np.int32]]


def trace(mask_HW: NDArray[np.bool_]) -> list[Polygon]:
    """The outlines of a mask: outer ones clockwise as one sees them, holes the other way round.

    An outline turns where an odd number of the four pixels around a point is covered, or two in a diagonal; there two
    outlines turn. Along each row of such corners, and along each column, every second gap is an edge.

    Args:
        mask_HW: bool, (H, W).

    Returns:
        The parts of the mask, from the top; none of an empty mask.
    """
    left, top, right, bottom = mask_box(mask_HW)
    mask_HW = np.ascontiguousarray(mask_HW[top:bottom, left:right])
    framed = np.pad(mask_HW, 1).view(np.int8)
    above_left, above_right, below_left, below_right = (
        framed[:-1, :-1],
        framed[:-1, 1:],
        framed[1:, :-1],
        framed[1:, 1:],
    )
    odd = (above_left ^ above_right ^ below_left ^ below_right) == 1
    falling = (above_left & below_right) > (above_right | below_left)
    rising = (above_right & below_left) > (above_left | below_right)
    y_R, x_R = np.nonzero(odd | falling | rising)
    double_R = ~odd[y_R, x_R]
    # Of two outlines that turn at one point, rank 0 has its edge to the left and rank 1 to the right. Upwards goes
    # rank 0 of a falling diagonal, and rank 1 of a rising one.
    rank_R = np.concatenate([np.zeros_like(y_R), np.ones_like(y_R[double_R])])
    y_R, x_R = np.concatenate([y_R, y_R[double_R]]), np.concatenate([x_R, x_R[double_R]])
    rows_R = np.lexsort((rank_R, x_R, y_R))
    y_R, x_R, rank_R = (
        y_R[rows_R],
        x_R[rows_R],
        rank_R[rows_R],
    )  # the corner at the other end of a level edge is now n ^ 1
    columns_R = np.lexsort((rank_R ^ rising[y_R, x_R], y_R, x_R))
    upright_R = np.empty_like(columns_R)  # the corner at the other end of an upright edge
    upright_R[columns_R[0::2]], upright_R[columns_R[1::2]] = columns_R[1::2], columns_R[0::2]
    parts_HW = cv2.connectedComponents(mask_HW.view(np.uint8), connectivity=4)[1]
    parts: dict[int, Polygon] = {}
    for ring in _rings(upright_R.tolist()):
        corners_R2 = np.stack([x_R[ring] + left, y_R[ring] + top], axis=1).astype(np.int32)
        x, y = int(x_R[ring[0]]), int(y_R[ring[0]])  # the upper left corner
        if mask_HW[y, x]:
            parts[int(parts_HW[y, x])] = Polygon(corners_R2, [])
        else:
            parts[int(parts_HW[y - 1, x])].holes.append(np.roll(corners_R2[::-1], 1, axis=0))
    return list(parts.values())


def _rings(upright: list[int]) -> list[list[int]]:
    """Numbers of the corners of each outline, each from its upper left corner to the right.

    Args:
        upright: the corner at the other end of each one's upright edge; at that of its level edge is n ^ 1.
    """
    rings: list[list[int]] = []
    seen = bytearray(len(upright))
    for start in range(len(upright)):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            seen[at] = seen[at ^ 1] = 1
            ring += [at, at ^ 1]
            at = upright[at ^ 1]
        rings.append(ring)
    return rings
