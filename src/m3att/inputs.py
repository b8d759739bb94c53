"""What users give to a segmenter, checked: images in every form, and texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.data.images import decode_image, read_image, to_rgb
from m3att.errors import ImageError

if TYPE_CHECKING:  # reading an image needs no PyTorch
    import torch

Picture: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8] | torch.Tensor"
"""An image: a file, the content of one, a Pillow image, RGB uint8 (H, W, 3), or a tensor (3, H, W), uint8 or floats of
0 to 1."""


def load_pixels(image: Picture) -> NDArray[np.uint8]:
    """Upright RGB, (H, W, 3), from anything that `Segmenter.encode` accepts. The result is always a new array.

    Raises:
        ImageError: if it cannot be read as a picture.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image), "the image")
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise ImageError(f"the image is empty: {image.width} x {image.height}")
        try:
            return to_rgb(image)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow reads pixels only when they are needed
            raise ImageError(f"the image is damaged or cut short ({error})") from error
    torch = sys.modules.get("torch")  # where nobody has loaded PyTorch, there is no tensor
    if torch is not None and isinstance(image, torch.Tensor):
        return tensor_pixels(image)
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"cannot read a {type(image).__name__}: give a file, its bytes, a Pillow image, a NumPy array or a tensor"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"the array is {image.dtype} {image.shape}: give RGB uint8 (H, W, 3) in [0, 255]")
    return image.copy()


def tensor_pixels(image_CHW: torch.Tensor) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of a tensor in torchvision's order, (3, H, W).

    Raises:
        ImageError: if it is no picture in this order, or its floats are not in [0, 1].
    """
    import torch

    kind = str(image_CHW.dtype).removeprefix("torch.")
    if image_CHW.ndim != 3 or len(image_CHW) != 3 or 0 in image_CHW.shape:
        raise ImageError(f"the tensor is {kind} {tuple(image_CHW.shape)}: give RGB (3, H, W)")
    image_CHW = image_CHW.detach()
    if image_CHW.is_floating_point():
        low, high = (float(value) for value in image_CHW.aminmax())
        if not (low >= 0.0 and high <= 1.0):  # nor where one is not a number
            raise ImageError(f"the tensor holds floats from {low:g} to {high:g}: give 0 to 1, before any normalisation")
        image_CHW = (image_CHW.float() * 255).round().to(torch.uint8)
    if image_CHW.dtype != torch.uint8:
        raise ImageError(f"the tensor is {kind}: give uint8 in [0, 255] or floats in [0, 1]")
    return np.array(image_CHW.permute(1, 2, 0).cpu().numpy(), order="C")


def is_text(expression: object) -> bool:
    """Whether this is a string that can be written as UTF-8. Arguments from a shell may not be."""
    if not isinstance(expression, str):
        return False
    try:
        expression.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(text: str, longest: int = 60) -> str:
    """The beginning of a text, for a message of one line."""
    return text if len(text) <= longest else text[: longest - 3] + "..."
