"""Every kind of image file is read upright in RGB, or answered in one line."""

from __future__ import annotations

import io
import mmap
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3att.data.images import decode_image, read_image, read_orientation, to_rgb
from m3att.errors import ImageError

RED, GREEN, BLUE = (220, 30, 40), (30, 200, 60), (20, 60, 210)


@pytest.fixture
def picture() -> Image.Image:
    """16 x 12, three colours as a flag whose left third is red."""
    pixels = np.zeros((12, 16, 3), dtype=np.uint8)
    pixels[:, :5], pixels[:, 5:10], pixels[:, 10:] = RED, GREEN, BLUE
    return Image.fromarray(pixels)


def test_png_comes_back_exactly(picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.dtype == np.uint8
    assert not pixels.flags.writeable  # the bytes that Pillow hands over, not a copy of them
    assert np.array_equal(pixels, np.asarray(picture))


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "LA", "RGBA", "RGB", "YCbCr"])
def test_modes_become_rgb(picture: Image.Image, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tif"
    picture.convert(mode).save(path)
    pixels = read_image(path)
    assert pixels.shape == (12, 16, 3)
    if mode in ("CMYK", "P", "RGBA", "YCbCr"):
        assert np.abs(pixels.astype(int) - np.asarray(picture)).max() <= 50  # a web palette is coarse
    elif mode == "L":
        assert np.array_equal(pixels[..., 1], np.asarray(picture.convert("L")))


def test_cmyk_jpeg(picture: Image.Image, tmp_path: Path) -> None:
    picture.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg")[5, 1].astype(int) - RED).max() < 60


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 1, 128, 255]


def test_floats_are_scaled_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for values, expected in (([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255])):
        Image.fromarray(np.array([values], dtype=np.float32)).save(path)
        assert read_image(path)[0, :, 0].tolist() == expected
    for values in ([-1.0, 1.0], [0.0, 1000.0], [float("nan"), 0.5]):
        Image.fromarray(np.array([values], dtype=np.float32)).save(path)
        with pytest.raises(ImageError, match=r"a\.tif: floats from .* save it with 8 or 16 bits"):
            read_image(path)


def test_numbers_that_need_more_than_16_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="whole numbers from 0 to 70000, which 16 bits do not hold"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_a_broken_exif_block_spoils_no_pixel(picture: Image.Image, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture.save(path, exif=b"Exif\0\0GARBAGE GARBAGE", lossless=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path).shape == (12, 16, 3)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: is no regular file"):
        read_image(tmp_path / "a.png")


def test_an_image_larger_than_memory_is_named(
    picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(self: Image.Image) -> None:
        raise MemoryError

    picture.save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "load", exhausted)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", exhausted)
    with pytest.raises(ImageError, match=r"a\.png: too large for the memory that is left"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((2, 3, 4), dtype=np.uint8)
    pixels[:, 1] = (0, 0, 0, 255)
    pixels[:, 2] = (0, 0, 0, 128)
    image = Image.fromarray(pixels)
    if mode == "P":
        image = image.quantize(4)
    elif mode == "LA":
        image = image.convert("LA")
    image.save(tmp_path / "a.png")
    columns = read_image(tmp_path / "a.png")[0, :, 0].tolist()
    assert columns[:2] == [255, 0]
    assert columns[2] == pytest.approx(127, abs=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture: Image.Image, tmp_path: Path, orientation: int) -> None:
    """Stored as a camera would: after the turn that the tag asks for, the picture is upright again."""
    way = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    stored = picture if way is None else picture.transpose(way)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(picture))


def test_exif_orientation_is_told_and_can_be_left_alone(picture: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    picture.save(tmp_path / "b.png")
    assert [read_orientation(tmp_path / name) for name in ("a.png", "b.png")] == [6, 1]
    assert np.array_equal(read_image(tmp_path / "a.png", upright=False), np.asarray(picture))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "CMYK", "YCbCr", "I;16", "1"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_images_are_read_in_bands_to_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, orientation: int
) -> None:
    chance = np.random.default_rng(orientation)
    if mode == "I;16":
        image = Image.fromarray(chance.integers(0, 65536, (90, 130), dtype=np.uint16))
    else:
        image = Image.fromarray(chance.integers(0, 256, (90, 130, 4), dtype=np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    image.save(path, exif=exif)
    whole, own = read_image(path), to_rgb(Image.open(path))
    monkeypatch.setattr("m3att.data.images.pixels.LARGE", 1000)
    assert np.array_equal(read_image(path), whole)
    assert np.array_equal(own, whole)
    loaded = Image.open(path)
    assert np.array_equal(to_rgb(loaded), whole)
    assert np.array_equal(to_rgb(loaded), whole)  # somebody else's image keeps its pixels
    assert not read_image(path).flags.writeable


_PEAK = """
import resource, sys
from m3att.data.images import read_image, read_orientation, to_rgb
read_image(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pixels = read_image(sys.argv[2])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / pixels.nbytes)
"""


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system does not take single pages back")
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_large_photo_takes_little_more_than_its_pixels(tmp_path: Path, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, side in (("small", 64), ("large", 3000)):
        Image.new(mode, (side, side), "red").save(tmp_path / f"{name}.jpg", exif=exif)
    words = [sys.executable, "-c", _PEAK, str(tmp_path / "small.jpg"), str(tmp_path / "large.jpg")]
    found = float(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
    assert found < 1.5


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), RED).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[list(RED)]]


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[4, 4].tolist() == list(RED)


def test_hundred_megapixels_are_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("1", (12_000, 8_400)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.png").shape == (8_400, 12_000, 3)


@pytest.mark.parametrize("width", [4, 5])
def test_more_pixels_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr("m3att.data.images.files.MAX_PIXELS", 16)
    Image.new("L", (width, 4)).save(tmp_path / "a.png")
    if width == 4:
        assert read_image(tmp_path / "a.png").shape == (4, 4, 3)
    else:
        with pytest.raises(ImageError, match="megapixels; shrink it first"):
            read_image(tmp_path / "a.png")


def test_billion_pixels_are_refused_unread(tmp_path: Path) -> None:
    header = io.BytesIO()
    Image.new("1", (8, 8)).save(header, format="PPM")
    (tmp_path / "a.pbm").write_bytes(header.getvalue().replace(b"8 8", b"40000 40000"))
    with pytest.raises(ImageError, match="megapixels; shrink it first"):
        read_image(tmp_path / "a.pbm")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, format=kind)
    path = tmp_path / "cut"
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", Path("http://example.org/a.jpg")], ids=str)
def test_an_address_is_answered_by_what_to_do(address: str | Path) -> None:
    with pytest.raises(ImageError, match=r"a\.jpg: no such file; an address is not fetched, download the image first$"):
        read_image(address)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), (b"", "empty"), (b"<html>404</html>", "not an image")]
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
    ],
)
def test_a_picture_of_a_kind_that_cannot_be_read_is_named_with_what_to_do(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(content)
    told = f"{kind} files cannot be read; save it as JPEG first"
    for image, name in ((path, path), (content, "the image")):
        with pytest.raises(ImageError) as caught:
            read_image(image) if isinstance(image, Path) else decode_image(image, "the image")
        assert str(caught.value) == f"{name}: {told}"
    path.write_bytes(b"\0\0\0\x18ftypisom")
    with pytest.raises(ImageError, match="not an image that can be read"):
        read_image(path)


def test_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="folder"):
        read_image(tmp_path)
