"""How fast photos are read: the stages are the real ones, and each is timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3att.bench.read_rate import Photo, find_annotated, images_a_second, measure_reading
from m3att.data.photos import PhotoFolder
from m3att.data.refer.objects import read_objects
from m3att.errors import DataError, ImageError
from m3att.report.tables import reading_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, two of which are there, with three objects, one of them without an outline."""
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        pixels_HWC = np.full((30, 40, 3), 60 * number, dtype=np.uint8)
        Image.fromarray(pixels_HWC).save(tmp_path / "images" / f"{number}.jpg")
    square = [[5, 5, 15, 5, 15, 15, 5, 15]]
    instances = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 30, "width": 40} for n in (1, 2, 3)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 10, 10], "segmentation": square},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [5, 5, 10, 10]},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10], "segmentation": square},
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    return tmp_path


def annotated(folder: Path, most: int = 10) -> list[Photo]:
    return find_annotated(
        read_objects(folder / "instances.json"), PhotoFolder(folder / "images", "own"), range(3), most
    )


def test_photos_that_are_there_with_the_outlines_that_they_have(folder: Path) -> None:
    photos = annotated(folder)
    assert [(photo.path.name, len(photo.segmentations)) for photo in photos] == [("1.jpg", 1), ("2.jpg", 1)]
    assert len(annotated(folder, 1)) == 1
    with pytest.raises(DataError, match="holds no photo"):
        find_annotated(read_objects(folder / "instances.json"), PhotoFolder(folder, "own"), range(3), 10)


def test_every_stage_is_timed(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    figures = measure_reading(annotated(folder), 32, "letterbox", 1, lambda done, total: told.append((done, total)))
    assert figures["images"] == 2 and figures["objects"] == 2 and figures["megapixels"] == pytest.approx(0.0012)
    paces = [*figures["floor"].values(), *figures["stages"].values(), figures["whole"]]
    assert len(paces) == 6 and all(pace > 0 for pace in paces)
    assert told == [(done, 6) for done in range(1, 7)]
    assert reading_table(figures).row_count == 6


def test_a_broken_photo_is_named(folder: Path) -> None:
    (folder / "images" / "2.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"2\.jpg"):
        measure_reading(annotated(folder), 32, "stretch", 1)


def test_the_best_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr("m3att.bench.read_rate.time.perf_counter", lambda: next(clock))
    seen: list[int] = []
    assert images_a_second(seen.append, 5, 3) == 5.0
    assert seen == [0, 1, 2, 3, 4] * 3
