"""A COCO file becomes a referring data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.data.describe.describe import Wish, describe, describe_content
from m3att.data.own.source import open_jsonl
from m3att.data.own.standard import FORMS
from m3att.data.own.tools import open_coco
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError

RED, BLUE, GREY = (200, 20, 30), (30, 50, 190), (130, 130, 130)


def square(left: int, top: int, side: int) -> list[list[int]]:
    return [[left, top, left + side, top, left + side, top + side, left, top + side]]


@pytest.fixture
def coco_file(tmp_path: Path) -> Path:
    """Two photos: a red and a blue car, and a dog."""
    images = [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}]
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": square(5, 20, 30)},
        {"id": 2, "image_id": 7, "category_id": 3, "segmentation": square(60, 20, 30)},
        {"id": 3, "image_id": 9, "category_id": 18, "segmentation": square(30, 20, 40)},
    ]
    for name, colours in (("a.png", (RED, BLUE)), ("b.png", (GREY,))):
        photo_HWC = np.full((80, 100, 3), 250, dtype=np.uint8)
        for left, colour in zip((5, 60), colours, strict=False):
            photo_HWC[20:50, left : left + 30] = colour
        (tmp_path / "coco" / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo_HWC).save(tmp_path / "coco" / "images" / name)
    categories = [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}]
    path = tmp_path / "coco" / "objects.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def change(path: Path, **values: Any) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_back_with_masks_and_skills(coco_file: Path, tmp_path: Path, form: Any) -> None:
    written = describe(coco_file, form, tmp_path / "out", Wish(per_object=20))
    assert (written.refs, written.images, written.faults) == (3, 2, ())
    if form == "refer":
        source: Any = ReferSource(tmp_path / "out", "custom", "own", "train")
    else:
        source = (open_coco if form == "coco" else open_jsonl)(tmp_path / "out", "train")
    samples = [source.read(index) for index in range(len(source))]
    said = {
        (sample.image_HWC.shape[:2], text): sample.masks_MHW[mask]
        for sample in samples
        for text, mask in zip(sample.expressions, sample.mask_index_N, strict=True)
    }
    texts = {text for _, text in said}
    assert {"red car", "blue car", "dog", "the dog", "left car"} & texts >= {"dog", "the dog"}
    assert any("red" in text for text in texts) and any("left" in text for text in texts)
    mask_HW = next(mask for (_, text), mask in said.items() if text == "dog")
    assert mask_HW[20:60, 30:70].all() and mask_HW.sum() == 1600
    skills = {skill for sample in samples for skills in sample.skills for skill in skills}
    assert skills >= {"kind", "place", "colour"} or form == "jsonl"  # a line has no place for them


@pytest.mark.parametrize("form", FORMS)
def test_expressions_that_name_nothing_are_of_absent_categories(coco_file: Path, tmp_path: Path, form: Any) -> None:
    written = describe(coco_file, form, tmp_path / "out", Wish(per_object=3, absent=2))
    assert written.faults == ()
    if form == "refer":
        source: Any = ReferSource(tmp_path / "out", "custom", "own", "train")
    else:
        source = (open_coco if form == "coco" else open_jsonl)(tmp_path / "out", "train")
    assert source.no_targets == 4
    halves: list[list[set[str]]] = []  # of each image the expressions that name nothing, and those that name something
    for sample in map(source.read, range(len(source))):
        named = [bool(sample.masks_MHW[at].any()) for at in sample.mask_index_N]
        texts = list(zip(sample.expressions, named, strict=True))
        halves.append([{text for text, names in texts if names == wanted} for wanted in (False, True)])
    (nothing, something), (other_nothing, other_something) = halves
    assert len(nothing) == len(other_nothing) == 2
    assert nothing <= other_something and other_nothing <= something  # cars are absent from one, dogs from the other


def test_the_seed_decides(coco_file: Path) -> None:
    def texts(seed: int) -> list[str]:
        content = describe_content(coco_file, Wish(per_object=2, seed=seed))
        return [sentence["sent"] for ref in content.refs for sentence in ref["sentences"]]

    assert texts(0) == texts(0)
    assert len({tuple(texts(seed)) for seed in range(5)}) > 1


def test_no_more_than_wanted_and_only_the_wanted_style(coco_file: Path) -> None:
    content = describe_content(coco_file, Wish(per_object=2, styles=("refcocog",), split="val"))
    assert {ref["split"] for ref in content.refs} == {"val"}
    for ref in content.refs:
        assert len(ref["sentences"]) <= 2
        assert all(sentence["sent"].startswith("the ") for sentence in ref["sentences"])
        assert len({sentence["sent"] for sentence in ref["sentences"]}) == len(ref["sentences"])


def test_a_box_alone_is_told_by_all_but_colour(coco_file: Path) -> None:
    boxes = {1: [5, 20, 30, 30], 2: [60, 20, 30, 30], 3: [30, 20, 40, 40]}
    content = json.loads(coco_file.read_text())
    annotations = [
        {
            "id": entry["id"],
            "image_id": entry["image_id"],
            "category_id": entry["category_id"],
            "bbox": boxes[entry["id"]],
        }
        for entry in content["annotations"]
    ]
    found = describe_content(change(coco_file, annotations=annotations), Wish(per_object=50))
    texts = [sentence["sent"] for ref in found.refs for sentence in ref["sentences"]]
    assert "left car" in texts or "car on left" in texts or "car left" in texts
    assert not any("red" in text or "blue" in text for text in texts)


def test_what_cannot_be_read_is_named_and_the_rest_described(coco_file: Path, tmp_path: Path) -> None:
    (coco_file.parent / "images" / "b.png").write_bytes(b"no picture")
    written = describe(coco_file, "coco", tmp_path / "out")
    assert written.refs == 2
    assert "image 9" in written.faults[0] and all("b.png" in fault for fault in written.faults)
    assert len(written.faults) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"annotations": []}, "nothing can be said"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 3}]}, "neither an outline nor a box"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 4, "bbox": [1, 2, 30, 40]}]}, "no known category"),
    ],
)
def test_a_file_of_which_nothing_can_be_said_is_refused(coco_file: Path, values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        describe_content(change(coco_file, **values), Wish())


def test_names_are_needed(coco_file: Path) -> None:
    content = json.loads(coco_file.read_text())
    del content["categories"]
    coco_file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="has no list 'categories'"):
        describe_content(coco_file, Wish())
