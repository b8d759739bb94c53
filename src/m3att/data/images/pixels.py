"""Turns opened Pillow images into RGB pixels or masks; a large one is never in memory twice."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from m3att.errors import ImageError

DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on damaged files."""
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_FOUR_BYTES = ("RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "LA", "PA", "La")  # a pixel, in Pillow
_PLAIN = ("JPEG", "MPO", "PNG", "BMP", "PPM")  # formats whose decoders write to the memory that they find
# Upright pixels in the order in which a file of each EXIF orientation stores them.
_STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda pixels_HWC: pixels_HWC,
    2: lambda pixels_HWC: pixels_HWC[:, ::-1],
    3: lambda pixels_HWC: pixels_HWC[::-1, ::-1],
    4: lambda pixels_HWC: pixels_HWC[::-1],
    5: lambda pixels_HWC: pixels_HWC.swapaxes(0, 1),
    6: lambda pixels_HWC: pixels_HWC.swapaxes(0, 1)[::-1],
    7: lambda pixels_HWC: pixels_HWC[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels_HWC: pixels_HWC.swapaxes(0, 1)[:, ::-1],
}
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations of which width and height change places when the image is turned upright."""
LARGE = 4_000_000
"""Images with more pixels are converted in bands, so that they are never in memory twice."""


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Turns an opened Pillow image into upright RGB, as `read_image` describes.

    Args:
        image: it keeps its pixels.

    Returns:
        uint8, (H, W, 3), not to be written to.
    """
    return rgb_of(image, upright=True, from_file=False)


def rgb_of(image: Image.Image, upright: bool, from_file: bool) -> NDArray[np.uint8]:
    """RGB pixels of an opened Pillow image; a large image is converted band by band.

    Args:
        image: it is loaded.
        upright: apply the EXIF orientation; otherwise the pixels stay as they are stored.
        from_file: nobody else uses the image, so its own pixels may be given back early.

    Returns:
        uint8, (H, W, 3), not to be written to.
    """
    if image.width * image.height < LARGE or image.mode == "F":  # floats are scaled by the largest of all
        image.load()
        if upright and orientation_of(image) != 1:
            image = ImageOps.exif_transpose(image)
        return _band_rgb(image)
    pages = _load_into_pages(image) if from_file else None
    image.load()
    width, height = image.size
    turn = orientation_of(image) if upright else 1
    sides = (width, height) if turn in SIDEWAYS else (height, width)
    pixels_HWC = np.frombuffer(_pages(3 * width * height), dtype=np.uint8).reshape(*sides, 3)
    stored_HWC = _STORED[turn](pixels_HWC)
    rows = max(1, LARGE // 8 // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored_HWC[top:bottom] = _band_rgb(image.crop((0, top, width, bottom)))
        if pages is not None:
            _give_back(pages, 4 * width * top, 4 * width * bottom)
    pixels_HWC.flags.writeable = False
    return pixels_HWC


def _load_into_pages(image: Image.Image) -> mmap.mmap | None:
    """Decode an image into memory that can be given back in part; None where its decoder brings memory of its own."""
    if image.mode not in _FOUR_BYTES or image.format not in _PLAIN or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    pages = _pages(4 * image.width * image.height)
    image.im = own = Image.core.map_buffer(pages, image.size, "raw", 0, (image.mode, 0, 1))  # type: ignore[attr-defined]
    image.load()
    return pages if image.im is own else None


def _pages(size: int) -> mmap.mmap:
    """Memory of which each page counts from its first use until it is given back."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # else the first column of a turned photo would claim all memory
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return pages


def _give_back(pages: mmap.mmap, start: int, stop: int) -> None:
    """Return the memory of some bytes, which are zero from then on; a page that reaches beyond ``stop`` stays."""
    first, last = (at // mmap.PAGESIZE * mmap.PAGESIZE for at in (start, stop))
    if last > first:
        pages.madvise(mmap.MADV_DONTNEED, first, last - first)


def _band_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """RGB of a loaded image, or of a band of one, as it lies there."""
    if image.mode in _SIXTEEN_BIT:
        image = _eight_bit(image)
    elif image.mode == "F":
        image = _scaled(image)
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, coloured)
    # The bytes as Pillow hands them over: one more copy would take half as long as decoding does.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def to_mask(image: Image.Image) -> NDArray[np.bool_]:
    """Turns an opened Pillow image into a mask: what is neither black (or number 0 of a palette) nor transparent.

    Returns:
        bool, (H, W).

    Raises:
        ImageError: where it is a JPEG, whose black is not quite black.
    """
    if image.format == "JPEG":
        raise ImageError("a mask cannot be a JPEG, whose black is not quite black; save it as PNG")
    image.load()
    # The numbers of a palette are labels; its colours do not matter.
    if image.mode in _SIXTEEN_BIT or image.mode in ("1", "L", "F", "P"):
        mask_HW: NDArray[np.bool_] = np.asarray(image) != 0
        return mask_HW
    pixels_HWC = np.asarray(image.convert("RGBA"))
    mask_HW = pixels_HWC[:, :, :3].any(axis=2) & (pixels_HWC[:, :, 3] > 0)
    return mask_HW


def to_opaque(image: Image.Image) -> NDArray[np.bool_]:
    """Turns an opened Pillow image into a mask: what is not transparent, whatever its colour.

    Returns:
        bool, (H, W).

    Raises:
        ImageError: where the picture knows no transparency.
    """
    image.load()
    if not image.has_transparency_data:
        raise ImageError("it has no transparency, which is what tells the mask")
    mask_HW: NDArray[np.bool_] = np.asarray(image.convert("RGBA"))[:, :, 3] > 0
    return mask_HW


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 for upright; a block that cannot be read counts as 1."""
    try:
        orientation = int(image.getexif().get(0x0112, 1))
    except DAMAGED:
        return 1
    return orientation if orientation in _STORED else 1


def _scaled(image: Image.Image) -> Image.Image:
    """Scales floats of 0 to 1, or takes those of 0 to 255, as 8-bit grey."""
    values_HW = np.asarray(image)
    low, high = float(values_HW.min()), float(values_HW.max())
    if not (low >= 0 and high <= 255):  # nor where one is not a number
        raise ImageError(
            f"floats from {low:g} to {high:g}, neither of 0 to 1 nor of 0 to 255; save it with 8 or 16 bits"
        )
    return Image.fromarray((values_HW * (255 if high <= 1 else 1)).round().astype(np.uint8))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit grey to 8 bits; Pillow's own conversion would cut at 255 and give white."""
    values_HW = np.asarray(image).astype(np.int64)
    low, high = int(values_HW.min()), int(values_HW.max())
    if low < 0 or high > 65535:
        raise ImageError(f"whole numbers from {low} to {high}, which 16 bits do not hold; save it with 8 or 16 bits")
    scaled_HW = ((values_HW * 255 + 32767) // 65535).astype(np.uint8)
    grey = Image.fromarray(scaled_HW)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        alpha_HW = np.where(values_HW == transparent, 0, 255).astype(np.uint8)
        grey.putalpha(Image.fromarray(alpha_HW))
    return grey
