"""An entry's mask is read whatever form it was written in, and a broken part of it is an answer."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m3att.data.annotation import decode_segmentation, parts_of
from m3att.data.masks import encode_rle
from m3att.errors import DataError, ImageError

HEIGHT, WIDTH = 24, 32
SQUARE = [2, 4, 12, 4, 12, 12, 2, 12]
OTHER = [20, 4, 30, 4, 30, 12, 20, 12]
PAIRS = [[2, 4], [12, 4], [12, 12], [2, 12]]
EXPECTED_HW = np.zeros((HEIGHT, WIDTH), dtype=bool)
EXPECTED_HW[4:12, 2:12] = True
BOTH_HW = EXPECTED_HW | np.roll(EXPECTED_HW, 18, axis=1)
RLE = encode_rle(EXPECTED_HW)
COUNTS = [52, *[8, 16] * 9, 8, 24 * 20 + 12]


def png(mask_HW: np.ndarray = EXPECTED_HW, form: str = "PNG") -> bytes:
    file = BytesIO()
    Image.fromarray(mask_HW.astype(np.uint8) * 255).save(file, form)
    return file.getvalue()


AS_TEXT = base64.b64encode(png()).decode()
FORMS: dict[str, Any] = {
    "flat polygon": SQUARE,
    "list of one polygon": [SQUARE],
    "floats": [[float(side) for side in SQUARE]],
    "numbers as text": [[str(side) for side in SQUARE]],
    "pairs": PAIRS,
    "list of pairs": [PAIRS],
    "list of lists of pairs": [[PAIRS]],
    "points with names": [{"x": x, "y": y} for x, y in PAIRS],
    "array of a polygon": np.array(SQUARE, dtype=np.float32),
    "array of pairs": np.array(PAIRS),
    "list of arrays": [np.array(SQUARE)],
    "compressed text": RLE,
    "compressed bytes": {**RLE, "counts": RLE["counts"].encode()},
    "compressed bytes as str shows them": {**RLE, "counts": str(RLE["counts"].encode())},
    "counts": {"size": [HEIGHT, WIDTH], "counts": COUNTS},
    "counts that are floats": {"size": [float(HEIGHT), float(WIDTH)], "counts": [float(count) for count in COUNTS]},
    "arrays in run lengths": {"size": np.array([HEIGHT, WIDTH]), "counts": np.array(COUNTS)},
    "list of run lengths": [RLE],
    "array": EXPECTED_HW,
    "array of bytes": EXPECTED_HW.astype(np.uint8) * 255,
    "array of labels": EXPECTED_HW.astype(np.int64) * 7,
    "array with a channel": EXPECTED_HW[:, :, None],
    "array behind a channel": EXPECTED_HW[None],
    "nested lists": EXPECTED_HW.astype(int).tolist(),
    "nested lists of floats": EXPECTED_HW.astype(float).tolist(),
    "nested lists with a channel": EXPECTED_HW[:, :, None].tolist(),
    "picture": Image.fromarray(EXPECTED_HW),
    "bytes of a file": png(),
    "row of a table, not decoded": {"bytes": png(), "path": None},
    "base64": AS_TEXT,
    "address of data": f"data:image/png;base64,{AS_TEXT}",
    "name of a file": "masks/a.png",
    "name of a file with a backslash": "masks\\a.png",
    "list of a name": ["masks/a.png"],
    "JSON of polygons": json.dumps([SQUARE]),
    "JSON of pairs": f" {json.dumps(PAIRS)}",
    "JSON of run lengths": json.dumps(RLE),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_the_same_mask(tmp_path: Path, name: str) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_bytes(png())
    found_HW = decode_segmentation(FORMS[name], HEIGHT, WIDTH, (tmp_path / "nowhere", tmp_path))
    assert np.array_equal(found_HW, EXPECTED_HW)


@pytest.mark.parametrize(
    "parts",
    [
        [SQUARE, OTHER],
        [PAIRS, OTHER],
        [SQUARE, encode_rle(BOTH_HW)],
        [RLE, OTHER],
        [[SQUARE], [OTHER]],
        [RLE, {"size": [HEIGHT, WIDTH], "counts": encode_rle(BOTH_HW)["counts"].encode()}],
        [AS_TEXT, base64.b64encode(png(BOTH_HW)).decode()],
        np.stack([EXPECTED_HW, BOTH_HW]),
    ],
)
def test_parts_of_mixed_form_are_united(parts: Any) -> None:
    assert np.array_equal(decode_segmentation(parts, HEIGHT, WIDTH), BOTH_HW)


@pytest.mark.parametrize(
    "broken",
    [
        [],
        [1, 2, 3, 4],
        [[1, 2], [3, 4]],
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, float("nan"), 5, 6],
        None,
        "nowhere.png",
        {"size": [HEIGHT, WIDTH], "counts": [3]},
        {"size": [WIDTH, HEIGHT], "counts": COUNTS},
        {},
    ],
)
def test_half_a_mask_is_a_broken_mask(tmp_path: Path, broken: Any) -> None:
    for parts in ([SQUARE, broken], [broken, RLE]):
        with pytest.raises((DataError, ImageError), match=r"part \d of \d|run lengths|polygon|no such file"):
            decode_segmentation(parts, HEIGHT, WIDTH, (tmp_path,))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (EXPECTED_HW[:-1], "the mask is 32 x 23, but the image 32 x 24"),
        (EXPECTED_HW[:-1].astype(int).tolist(), "the mask is 32 x 23, but the image 32 x 24"),
        (Image.fromarray(EXPECTED_HW[:, 1:]), "the mask is 31 x 24"),
        (png(form="JPEG"), "cannot be a JPEG"),
        (png()[:60], "the picture of the mask: (damaged|cannot be read|not an image)"),
        (AS_TEXT[:60], "the picture of the mask: (damaged|cannot be read|not an image)"),
        ("data:image/png;base64,!", "the picture of the mask: the file is empty|no base64"),
        ("[1, 2", "is no JSON"),
        ("", "neither a polygon nor the name of a file"),
        ("masks/a.png", "lies in a file of its own"),
        (7, "no polygon"),
    ],
)
def test_what_is_wrong_is_said(mask: Any, message: str) -> None:
    with pytest.raises((DataError, ImageError), match=message):
        decode_segmentation(mask, HEIGHT, WIDTH)


def test_a_text_of_megabytes_stays_out_of_the_message() -> None:
    with pytest.raises(DataError) as caught:
        decode_segmentation("A" * 10**6, HEIGHT, WIDTH)
    assert len(str(caught.value)) < 150


@given(st.lists(st.lists(st.integers(0, 31), min_size=6, max_size=12).filter(lambda p: len(p) % 2 == 0), min_size=1))
def test_parts_of_polygons_are_the_polygons(polygons: list[list[int]]) -> None:
    assert parts_of(polygons) == polygons
    pairs = [[polygon[at : at + 2] for at in range(0, len(polygon), 2)] for polygon in polygons]
    assert parts_of(pairs) == polygons
