"""The table of objects holds what instances.json says, to the last digit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.data.annotation import decode_segmentation
from m3att.data.refer import objects as module
from m3att.data.refer.objects import ObjectTable, read_objects
from m3att.errors import DataError

RLE = {"size": [60, 80], "counts": [3, 2, 4795]}


def write(path: Path, entries: list[dict[str, Any]], **changes: Any) -> Path:
    images = [{"id": id_, "file_name": f"{id_}.jpg", "height": 60, "width": 80} for id_ in (300, 100, 200)]
    content = {"annotations": entries, "images": images, "categories": [{"id": 1, "name": "café"}]}
    path.write_text(json.dumps({**content, **changes}))
    return path


def annotation(id_: Any, image_id: int = 100, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "image_id": image_id, "category_id": 1, **fields}


def same(segmentation: Any, expected: Any) -> bool:
    if isinstance(expected, list) and expected and isinstance(expected[0], list):
        return len(segmentation) == len(expected) and all(
            np.array_equal(one, other) for one, other in zip(segmentation, expected, strict=True)
        )
    return bool(segmentation == expected)


def test_images_in_the_order_of_their_ids_and_annotations_in_that_of_the_file(tmp_path: Path) -> None:
    entries = [annotation(7, 300), annotation(2, 100), annotation(9, 300), annotation(1, 100), annotation(4, 999)]
    table = read_objects(write(tmp_path / "instances.json", entries))
    assert table.image_ids.tolist() == [100, 200, 300]
    assert list(table.file_names) == ["100.jpg", "200.jpg", "300.jpg"]
    assert [[table.ids[row] for row in table.rows_of_image(index)] for index in range(3)] == [[2, 1], [], [7, 9]]
    assert table.categories == {1: "café"}
    assert table.store.notes["homeless"] == 1
    assert [one.id for one in table.of_image(2)] == [7, 9]


@pytest.mark.parametrize("batch", [1, 3, 256])
@pytest.mark.parametrize(
    "segmentations",
    [
        [[[10.5, 10.25, 30, 10, 30.01, 40.99]], None, RLE, [[1, 2, 3, 4, 5, 6], [7, 8, 9, 1, 2, 3.5]]],
        [[[10.123456789, 1e-7, 30.0, 10.0, 1 / 3, 40.0]], [[1, 2, 3, 4, 5, 6]]],  # finer than hundredths
        [
            [RLE, RLE],
            [],
            [[]],
            "nothing",
            {"counts": ""},
            [[1, "a", 3, 4, 5, 6]],
            [["a"], 3],
            [[1, 2, 3, 4, 5, None]],
            17,
        ],
        [[[1e6, 2.0, 3.0, 4.0, 5.0, 6.0]], [[0.0, 2.0, 3.0, 4.0, 5.0, 6.0]]],
        [],
    ],
)
def test_segmentations_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segmentations: list[Any], batch: int
) -> None:
    monkeypatch.setenv("M3ATT_CACHE", "")
    monkeypatch.setattr(module, "_BATCH", batch)
    entries = [annotation(number, segmentation=one) for number, one in enumerate(segmentations)]
    table = read_objects(write(tmp_path / "instances.json", entries))
    for row, expected in enumerate(segmentations):
        assert same(table.segmentation(row), expected), expected


def test_what_is_broken_is_marked(tmp_path: Path) -> None:
    whole = [[10, 10, 30, 10, 30, 40]]
    broken = [
        [[1, 2, 3, 4]], [], [whole[0], [1, 2, 3, 4, 5, 6, 7]], [[1e9, 1, 2, 3, 4, 5]], {"size": [1, 1]}, "", [[]],
        [whole[0], [float("nan"), 1, 2, 3, 4, 5]],
    ]  # fmt: skip
    entries = [annotation(number, segmentation=one) for number, one in enumerate([whole, None, RLE, "a.png", *broken])]
    table = read_objects(write(tmp_path / "instances.json", entries))
    assert table.store["broken"].tolist() == [False] * 4 + [True] * len(broken)


def test_boxes_and_areas(tmp_path: Path) -> None:
    entries = [
        annotation(0, bbox=[1.5, 2, 10, 20], area=7.25, iscrowd=1),
        annotation(1, bbox=[1, 2, 10, 20]),
        annotation(2, bbox=[1, 2, 10]),
        annotation(3, bbox=[1, 2, None, 4], area="large"),
        annotation(4),
    ]
    table = read_objects(write(tmp_path / "instances.json", entries))
    assert table.boxes_A4[:2].tolist() == [[1.5, 2, 11.5, 22], [1, 2, 11, 22]]
    assert np.isnan(table.boxes_A4[2:]).all()
    assert table.areas[:2].tolist() == [7.25, 200]
    assert table.crowd.tolist() == [True, False, False, False, False]


def test_ids_that_are_text_become_numbers(tmp_path: Path) -> None:
    table = read_objects(write(tmp_path / "instances.json", [annotation("25_1"), annotation("100_12"), annotation(5)]))
    assert table.ids.tolist() == [25_000_001, 100_000_012, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": None}, "no list 'annotations'"),
        ({"images": {}}, "no list 'images'"),
    ],
)
def test_faulty_files_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_objects(write(tmp_path / "instances.json", [], **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [annotation(1), 5]}, "an entry of 'annotations' is 5, no object of fields"),
        ({"annotations": [annotation(1), annotation(None)]}, "annotation 1 has the id None, which is none"),
        ({"annotations": [annotation(1), annotation(2**70)]}, f"annotation 1 has the id {2**70}, which is none"),
        ({"images": [{"file_name": "a.jpg"}, {"id": 100}]}, "an image has the id None, which is none"),
        ({"categories": [{"id": [1]}]}, "a category has the id [1], which is none"),
    ],
)
def test_an_odd_entry_is_noted_and_refuses_nothing(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table = read_objects(write(tmp_path / "instances.json", [annotation(1)], **changes))
    assert table.ids[0] == 1
    assert table.store.notes["odd_objects"] == [message]


def test_masks_of_real_polygons_do_not_change_by_a_pixel(shared_folder: Path) -> None:
    for folder in ("coco-photos", "refer-photos/refcoco"):
        path = shared_folder / folder / "instances.json"
        if not path.is_file():
            pytest.skip(f"{path} is absent")
        table: ObjectTable = read_objects(path)
        content = json.loads(path.read_bytes())
        entries = {entry["id"]: entry for entry in content["annotations"]}
        assert len(entries) == len(table.ids)
        for index, (height, width) in enumerate(table.image_sizes.tolist()):
            for row in list(table.rows_of_image(index))[::4]:
                written = entries[int(table.ids[row])]["segmentation"]
                kept = table.segmentation(row)
                assert same(kept, written)
                assert np.array_equal(
                    decode_segmentation(kept, height, width), decode_segmentation(written, height, width)
                )
        assert table.store["points"].dtype == np.int32  # half the size of floats
