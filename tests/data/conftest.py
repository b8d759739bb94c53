"""Fixtures of the data tests: tiny data sets in the REFER layout."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from PIL import Image

Content = tuple[list[dict[str, Any]], dict[str, Any]]


class WriteFolder(Protocol):
    """Writes a data set ``refcoco`` split by ``unc`` and returns its root."""

    def __call__(self, content: Content | None = None, photos: bool = False, protocol: int = 2) -> Path: ...


@pytest.fixture
def tiny_content() -> Content:
    """Referents and instances of three images: two of train, one of val; one annotation has two referents."""
    square = [[10, 10, 30, 10, 30, 40, 10, 40]]
    annotations = [
        {"id": 5, "image_id": 100, "category_id": 1, "bbox": [10, 10, 20, 30], "area": 600, "segmentation": square},
        {"id": 6, "image_id": 100, "category_id": 3, "bbox": [40, 10, 30, 20], "area": 600.5,
         "segmentation": [[40, 10, 70, 10, 70, 30, 40, 30]]},
        {"id": 906000000100, "image_id": 100, "category_id": 1, "bbox": [0, 0, 80, 60], "area": 4800, "iscrowd": 1,
         "segmentation": {"size": [60, 80], "counts": [0, 4800]}},
        {"id": 7, "image_id": 200, "category_id": 18, "bbox": [5, 5, 50, 40], "area": 2000, "iscrowd": 0,
         "segmentation": [[5, 5, 55, 5, 55, 45, 5, 45]]},
        {"id": 8, "image_id": 300, "category_id": 1, "bbox": [0, 0, 20, 50], "area": 1000,
         "segmentation": [[0, 0, 20, 0, 20, 50, 0, 50]]},
    ]  # fmt: skip
    instances = {
        "info": {},
        "images": [
            {"id": image_id, "file_name": f"COCO_train2014_{image_id:012d}.jpg", "height": 60, "width": 80}
            for image_id in (100, 200, 300)
        ],
        "annotations": [{"iscrowd": 0, **annotation} for annotation in annotations],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
    }
    refs = [
        _ref(0, 100, 5, "train", (0, "left person"), (1, "the man")),
        _ref(1, 200, 7, "train", (2, "dog"), skills=("kind",)),
        _ref(2, 100, 6, "train", (3, "car on the right")),
        _ref(3, 100, 5, "train", (4, "person beside the car")),
        _ref(4, 300, 8, "val", (5, "a person")),
    ]
    return refs, instances


def _ref(
    ref_id: int, image_id: int, ann_id: int, split: str, *sentences: tuple[int, str], skills: tuple[str, ...] = ()
) -> dict[str, Any]:
    entries = [
        {"sent_id": sent_id, "sent": text, "raw": text.upper(), "tokens": text.split()} for sent_id, text in sentences
    ]
    for entry in entries:
        if skills:
            entry["skills"] = list(skills)
    return {
        "ref_id": ref_id, "ann_id": ann_id, "image_id": image_id, "split": split, "category_id": 1,
        "sent_ids": [sent_id for sent_id, _ in sentences], "sentences": entries,
        "file_name": f"COCO_train2014_{image_id:012d}_{ref_id}.jpg",
    }  # fmt: skip


@pytest.fixture
def write_folder(tmp_path: Path, tiny_content: Content) -> WriteFolder:
    """Writes the tiny data set, or a changed one, where the test may write."""

    def write(content: Content | None = None, photos: bool = False, protocol: int = 2) -> Path:
        refs, instances = content or tiny_content
        folder = tmp_path / "refcoco"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=protocol))
        (folder / "instances.json").write_text(json.dumps(instances))
        if photos:
            images = tmp_path / "images" / "mscoco" / "images" / "train2014"
            images.mkdir(parents=True)
            for number, entry in enumerate(instances["images"]):
                pixels = np.full((entry["height"], entry["width"], 3), 40 * number, dtype=np.uint8)
                Image.fromarray(pixels).save(images / entry["file_name"], quality=95)
        return tmp_path

    return write


@pytest.fixture(scope="session")
def thin_boxes(refer_boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twentieth of the photos of `refer_boxes`, entry by entry as it is: all of it takes tests too long."""
    root = tmp_path_factory.mktemp("thin-boxes")
    for dataset in ("refcoco", "refcoco+"):
        refs = pickle.loads((refer_boxes / dataset / "refs(unc).p").read_bytes())
        instances = json.loads((refer_boxes / dataset / "instances.json").read_bytes())
        chosen = {entry["id"] for entry in instances["images"] if entry["id"] % 20 == 0}
        instances["images"] = [entry for entry in instances["images"] if entry["id"] in chosen]
        instances["annotations"] = [entry for entry in instances["annotations"] if entry["image_id"] in chosen]
        (root / dataset).mkdir()
        kept = [ref for ref in refs if ref["image_id"] in chosen]
        (root / dataset / "refs(unc).p").write_bytes(pickle.dumps(kept, protocol=2))
        (root / dataset / "instances.json").write_text(json.dumps(instances))
    return root
