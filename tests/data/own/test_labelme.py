"""labelme's files as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..own_files import HEIGHT, WIDTH, write_picture
from .test_tools import found, opened


@pytest.mark.parametrize(
    ("kind", "corners", "area"),
    [
        ("rectangle", [[4, 4], [14, 4], [14, 12], [4, 12]], 80),
        ("rectangle", [[4, 4], [14, 12]], 80),
        ("rectangle", [[14, 12], [4, 4]], 80),
        ("rotation", [[10, 2], [18, 10], [10, 18], [2, 10]], 256),
        ("quadrilateral", [[4, 4], [20, 4], [18, 12], [6, 12]], 112),
    ],
)
def test_files_of_x_anylabeling(tmp_path: Path, kind: str, corners: list[list[float]], area: int) -> None:
    """X-AnyLabeling writes rectangles as four corners, and has turned ones and other quadrilaterals.

    Rectangles are boxes, as in the other tools: most people who draw them mean the box around an object.
    """
    write_picture(tmp_path / "1.png")
    shape: dict[str, Any] = {"label": "cup", "description": "a cup", "shape_type": kind, "points": corners}
    more = {"score": None, "group_id": None, "difficult": False, "flags": {}, "attributes": {}, "kie_linking": []}
    file = {"version": "3.3.1", "flags": {}, "shapes": [shape | more], "imagePath": "1.png", "imageData": None}
    sides = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    (tmp_path / "1.json").write_text(json.dumps(file | sides), encoding="utf-8")
    source = opened("labelme", tmp_path)
    assert not source.faults
    assert source.boxed == (kind != "quadrilateral")
    ((_, pixels),) = found(source).items()
    assert pixels == pytest.approx(area, rel=0.08)
    rows, columns = np.nonzero(source.read(0).masks_MHW[0])
    ys, xs = [y for _, y in corners], [x for x, _ in corners]
    edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(edges - [min(xs), min(ys), max(xs), max(ys)]).max() <= 1
