"""Images in the forms that users give, and what is said of those that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from m3att.errors import ImageError
from m3att.inputs import load_pixels


def test_pixels_are_an_array_of_ones_own() -> None:
    image_HWC = np.zeros((4, 6, 3), np.uint8)
    for given in (image_HWC, torch.from_numpy(image_HWC).permute(2, 0, 1)):
        loaded_HWC = load_pixels(given)
        loaded_HWC[:] = 9
        assert loaded_HWC.shape == (4, 6, 3) and image_HWC.max() == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(4, 4, 3), r"float32 \(4, 4, 3\)"),
        (torch.zeros(3, 0, 4), r"\(3, 0, 4\)"),
        (torch.full((3, 2, 2), 255.0), "0 to 1, before"),
        (torch.full((3, 2, 2), float("nan")), "0 to 1"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), "int64"),
    ],
)
def test_tensors_that_are_no_picture_are_refused(wrong: torch.Tensor, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_pixels(wrong)


def test_bytes_that_are_no_picture_are_refused() -> None:
    for wrong in (b"", b"not a picture"):
        with pytest.raises(ImageError, match="the image"):
            load_pixels(wrong)


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    for name in ("missing.png", "empty.png", "text.png", "cut.png"):
        with pytest.raises(ImageError, match=name) as caught:
            load_pixels(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ImageError, match="damaged"), Image.open(tmp_path / "cut.png") as opened:
        load_pixels(opened)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4))],
)
def test_arrays_that_are_no_picture_are_refused(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="give RGB uint8"):
        load_pixels(wrong)


def test_other_things_than_pictures_are_refused() -> None:
    with pytest.raises(ImageError, match="list"):
        load_pixels([[1, 2], [3, 4]])  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="empty"):
        load_pixels(Image.new("RGB", (0, 5)))
