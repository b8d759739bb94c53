"""Drawn photos with outlines, from which collages are made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from m3att.data.collage.cutouts import CutoutLibrary, open_cutouts

GROUND = (90, 140, 90)
COLOURS = {"red": (200, 20, 30), "blue": (30, 50, 190), "yellow": (230, 220, 40), "white": (245, 245, 245)}
CATEGORIES = {1: "person", 3: "car", 18: "dog"}


def draw_photo(objects: list[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A photo of 120 x 160 with rectangles, each of an upper and a lower colour."""
    photo_HWC = np.full((120, 160, 3), GROUND, dtype=np.uint8)
    for one in objects:
        x, y, w, h = one["bbox"]
        photo_HWC[y : y + h // 2, x : x + w] = COLOURS[one["upper"]]
        photo_HWC[y + h // 2 : y + h, x : x + w] = COLOURS[one["lower"]]
    return photo_HWC


def write_cutouts(root: Path) -> Path:
    """A COCO file of four photos: people in four shirts, cars and dogs in two colours."""
    kinds = [
        ("red", "blue", 1, (20, 10, 30, 80)), ("blue", "red", 1, (60, 20, 30, 80)),
        ("yellow", "white", 1, (20, 20, 30, 80)), ("white", "yellow", 1, (100, 30, 30, 80)),
        ("red", "red", 3, (10, 40, 60, 30)), ("blue", "blue", 3, (80, 40, 60, 30)),
        ("white", "white", 18, (10, 70, 40, 30)), ("yellow", "yellow", 18, (100, 70, 40, 30)),
    ]  # fmt: skip
    objects = [
        {
            "id": number,
            "image_id": 1 + number // 2,
            "category_id": category,
            "bbox": list(box),
            "iscrowd": 0,
            "upper": upper,
            "lower": lower,
            "segmentation": [[box[0], box[1], box[0] + box[2], box[1], box[0] + box[2], box[1] + box[3],
                              box[0], box[1] + box[3]]],
        }
        for number, (upper, lower, category, box) in enumerate(kinds)
    ]  # fmt: skip
    folder = root / "cutouts" / "images"
    folder.mkdir(parents=True)
    for image_id in range(1, 5):
        photo_HWC = draw_photo([one for one in objects if one["image_id"] == image_id])
        cv2.imwrite(str(folder / f"{image_id}.png"), photo_HWC[:, :, ::-1])
    content = {
        "images": [{"id": id_, "file_name": f"{id_}.png", "height": 120, "width": 160} for id_ in range(1, 5)],
        "annotations": objects,
        "categories": [{"id": id_, "name": name} for id_, name in CATEGORIES.items()],
    }
    path = root / "cutouts" / "objects.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def library(cutout_file: Path) -> CutoutLibrary:
    """What is cut out of `cutout_file`."""
    return open_cutouts([cutout_file])


@pytest.fixture
def cutout_file(tmp_path: Path) -> Path:
    """See `write_cutouts`; the test's own."""
    return write_cutouts(tmp_path)


@pytest.fixture(scope="session")
def session_library(tmp_path_factory: pytest.TempPathFactory) -> CutoutLibrary:
    """The same for tests that change nothing."""
    return open_cutouts([write_cutouts(tmp_path_factory.mktemp("cutouts"))])
