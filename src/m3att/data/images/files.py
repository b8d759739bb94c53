"""Reads image files, and the bytes of such files, and names what is wrong with them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from m3att.data.images.members import Member
from m3att.data.images.pixels import DAMAGED, SIDEWAYS, orientation_of, rgb_of, to_mask
from m3att.errors import ImageError
from m3att.quiet import no_warnings

Pixels = TypeVar("Pixels")

MAX_PIXELS = 175_000_000
"""Largest image that is opened, a little below what Pillow itself refuses; as RGB it takes 525 MB."""

_BRANDS = {  # of the files that phones and browsers write; the container is that of videos
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"),
    "AVIF": (b"avif", b"avis"),
}
_KINDS = {b"%PDF": "PDF", b"<svg": "SVG", b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL"}

_ADDRESS = re.compile("(^|/)https?:/", re.IGNORECASE)  # behind the folder that its file's paths start from, too


def read_image(path: Path | str | Member, upright: bool = True) -> NDArray[np.uint8]:
    """Reads an image file as upright RGB.

    CMYK, palette, grey and 16-bit images are converted (16 bits are scaled to 8, and so are floats of 0 to 1),
    transparent ones get a white background, the EXIF orientation is applied, and of an animation the first frame is
    used. A large image takes 4/3 of its RGB size while it is read (where the system takes single pages back; else 7/3).

    Args:
        path: the file.
        upright: apply the EXIF orientation; else the pixels stay as they are stored.

    Returns:
        uint8, (H, W, 3), not to be written to.

    Raises:
        ImageError: where the file is missing, empty, truncated, no image, larger than ``MAX_PIXELS`` or than memory,
            or where its numbers fit neither 8 nor 16 bits.
    """
    return _converted(path, lambda image: rgb_of(image, upright, from_file=True))


def read_orientation(path: Path | str | Member) -> int:
    """How the EXIF block of an image file says that it is to be turned.

    Args:
        path: the file.

    Returns:
        1 to 8 as EXIF numbers them: 1 for upright, from 5 on width and height change places.

    Raises:
        ImageError: where the file is missing, empty or no image.
    """
    return _converted(path, _orientation)


def read_size(path: Path | str | Member) -> tuple[int, int]:
    """How large an image file is when it is upright, told from its header.

    Args:
        path: the file.

    Returns:
        Height and width in pixels.

    Raises:
        ImageError: where the file is missing, empty or no image.
    """

    return _converted(path, _upright_size)


def decode_orientation(content: bytes, name: str) -> int:
    """How an image is to be turned, as :func:`read_orientation` tells it, from the bytes of its file.

    Args:
        content: of the file.
        name: what messages call it.

    Raises:
        ImageError: where it is empty or no image.
    """
    return _converted(name, _orientation, content)


def _orientation(image: Image.Image) -> int:
    # Pillow turns a TIFF upright by itself, and then says that nothing is to be turned.
    return 1 if image.format == "TIFF" else orientation_of(image)


def decode_size(content: bytes, name: str) -> tuple[int, int]:
    """How large an image is, as :func:`read_size` tells it, from the bytes of its file.

    Args:
        content: of the file.
        name: what messages call it.

    Returns:
        Height and width in pixels.

    Raises:
        ImageError: where it is empty or no image.
    """
    return _converted(name, _upright_size, content)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = image.format != "TIFF" and orientation_of(image) in SIDEWAYS
    return (image.width, image.height) if turned else (image.height, image.width)


def read_mask(path: Path | str) -> NDArray[np.bool_]:
    """Reads a mask from an image file, as :func:`to_mask` describes.

    Args:
        path: the file.

    Returns:
        bool, (H, W).

    Raises:
        ImageError: where the file is missing, empty, truncated, no image, or a JPEG.
    """
    return _converted(path, to_mask)


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Reads the bytes of an image file as :func:`read_image` reads the file.

    Args:
        content: of the file.
        name: what messages call it.

    Returns:
        uint8, (H, W, 3), not to be written to.

    Raises:
        ImageError: as :func:`read_image`.
    """
    return _converted(name, lambda image: rgb_of(image, upright=True, from_file=True), content)


def decode_mask(
    content: bytes, name: str, convert: Callable[[Image.Image], NDArray[np.bool_]] = to_mask
) -> NDArray[np.bool_]:
    """Reads a mask from the bytes of an image file.

    Args:
        content: of the file.
        name: what messages call it.
        convert: `to_mask`, or `to_opaque` where the mask is what is not transparent.

    Returns:
        bool, (H, W).

    Raises:
        ImageError: where it is empty, truncated, no image, or one that ``convert`` refuses.
    """
    return _converted(name, convert, content)


def _converted(
    path: Path | str | Member, convert: Callable[[Image.Image], Pixels], content: bytes | None = None
) -> Pixels:
    """Opens an image file, or what it holds, and makes one line of whatever is wrong with it."""
    if isinstance(path, Member):
        content, path = path.read(), str(path)
    # What Pillow warns of, a quarter of our own limit or a broken EXIF block, either is no fault or becomes our error.
    with no_warnings():
        try:
            return _opened(path, convert, content)
        except MemoryError:
            raise ImageError(f"{path}: too large for the memory that is left; shrink it first") from None


def _opened(path: Path | str, convert: Callable[[Image.Image], Pixels], content: bytes | None) -> Pixels:
    """Opens an image file, or what it holds, and converts it."""
    try:
        if content is None and not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            raise ImageError(f"{path}: is no regular file")  # a pipe would block, and a device has no end
        image = Image.open(path if content is None else BytesIO(content))
    except FileNotFoundError:
        advice = "; an address is not fetched, download the image first" if _ADDRESS.search(str(path)) else ""
        raise ImageError(f"{path}: no such file{advice}") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: is a folder; name an image file") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: {_why_unidentified(Path(path), content)}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: more than {MAX_PIXELS // 10**6} megapixels; shrink it first") from None
    except DAMAGED as error:
        raise ImageError(f"{path}: cannot be read ({_reason(error)})") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(
                f"{path}: {image.width} x {image.height} is more than {MAX_PIXELS // 10**6} megapixels; shrink it first"
            )
        try:
            return convert(image)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None
        except DAMAGED as error:
            raise ImageError(f"{path}: damaged or cut short ({_reason(error)})") from None


def _why_unidentified(path: Path, content: bytes | None) -> str:
    if content is None:
        with path.open("rb") as file:
            content = file.read(12)
    if not content:
        return "the file is empty"
    kind = _kind_of(content)
    return "not an image that can be read" if kind is None else f"{kind} files cannot be read; save it as JPEG first"


def _kind_of(content: bytes) -> str | None:
    """The name of a kind of picture that Pillow does not open, or not in every installation; None for all else.

    Args:
        content: of the file, its first 12 bytes or more.
    """
    if content[4:8] == b"ftyp":
        return next((kind for kind, brands in _BRANDS.items() if content[8:12] in brands), None)  # else a video
    return next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
