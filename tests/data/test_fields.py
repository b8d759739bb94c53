"""Ids, texts, splits and statements of an entry are taken as what they plainly are."""

from __future__ import annotations

from typing import Any

import pytest

from m3att.data.fields import (
    MASK_FIELDS,
    file_name_of,
    is_crowd,
    named_ids,
    names_of_split,
    plain_id,
    side_of,
    stated_mask,
    states_nothing,
    text_field,
    texts_of,
    whole_id,
    why_no_mask,
)
from m3att.errors import DataError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5), (5.0, 5), (908400416500.0, 908400416500), ("25", 25), (" 25 ", 25), ("25_1", 25_000_001), ("25.0", 25),
        ("000000000139", 139), (-1, -1), (None, None), (True, None), (1.5, None), (float("nan"), None), ("", None),
        (2**63, None), (1e300, None), ([1], None), ({}, None),
    ],
)  # fmt: skip
def test_an_id_is_the_number_that_it_shows(value: Any, expected: int | None) -> None:
    assert whole_id(value) == expected


def test_a_text_that_shows_no_number_gets_one_of_its_own() -> None:
    texts = ["img1", "img2", "a_1", "25_1_2", "1_", "٣", "x" * 1000]
    numbers = [whole_id(text) for text in texts]
    assert len(set(numbers)) == len(texts)
    assert all(number is not None and 2**62 <= number < 2**63 for number in numbers)
    assert [plain_id(text) for text in ("img1", "25_1", "7", 7.0, None)] == ["img1", "25_1", 7, 7, None]


@pytest.mark.parametrize(
    ("value", "expected"), [(64, 64), ("64", 64), (64.0, 64), ("64.0", 64), (None, 0), ("wide", 0), (-5, 0), ([], 0)]
)
def test_a_side_is_the_number_that_it_shows(value: Any, expected: int) -> None:
    assert side_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ["a"]), (["a", "b"], ["a", "b"]), (("a",), ["a"]), (None, []), ([], []), (["a", None], ["a"]),
        ({"sent": "a", "raw": "A"}, ["a"]), ([{"raw": "A", "sent_id": 1}, "b"], ["A", "b"]), (3, None), ([3], None),
        ([["a"]], None), ({}, None),
    ],
)  # fmt: skip
def test_texts(value: Any, expected: list[str] | None) -> None:
    assert texts_of(value) == expected


def test_the_first_field_that_holds_something_is_read() -> None:
    assert text_field({"caption": None, "sentence": "a"}) == "sentence"
    assert text_field({"caption": None}) == "caption"
    assert text_field({"id": 1}) is None
    assert (
        text_field({"expression": " ", "caption": "a"}) == text_field({"expression": [], "caption": "a"}) == "caption"
    )
    assert text_field({"expression": float("nan"), "caption": "a"}) == "caption"
    assert text_field({"expression": None, "caption": ""}) == "caption"
    assert stated_mask({"mask": None, "segmentation": [1]}) == stated_mask({"mask": [], "segmentation": [1]}) == [1]
    assert stated_mask({"mask": "", "bbox": [0, 0, 5, 5]}) is None and stated_mask({"mask": ""}) == ""
    assert file_name_of({"image": "", "file_name": "a.png"}) == "a.png"
    assert file_name_of({"filename": "a\\b.png"}) == "a/b.png"
    assert file_name_of({"file_name": 3}) == ""


@pytest.mark.parametrize(
    "entry",
    [
        {"mask": None}, {"no_target": True}, {"no_target": True, "mask": None}, {"no_target": 1, "bbox": [0, 0, 5, 5]},
        {"mask": None, "bbox": [0, 0, 0, 0], "area": 0}, {"mask": None, "bbox": None},
        {"mask": None, "no_target": float("nan")}, {"mask": None, "no_target": ""}, {"no_target": "True", "mask": [1]},
    ],
)  # fmt: skip
def test_what_states_that_nothing_is_named(entry: dict[str, Any]) -> None:
    assert states_nothing(entry)


@pytest.mark.parametrize(
    "entry",
    [
        {}, {"segmentation": None}, {"segmentation": []}, {"mask": []}, {"mask": "a.png"}, 
        {"mask": None, "no_target": False},
        {"mask": None, "bbox": [8, 10, 22, 20]}, {"mask": None, "area": 440.0}, {"mask": None, "segmentation": [[1]]},
        {"polygons": None}, {"mask": None, "box": [0, 0, 3, 3]},
        {"no_target": "false"}, {"no_target": "0", "mask": None}, {"no_target": float("nan"), "mask": [1]},
    ],
)  # fmt: skip
def test_what_is_absent_does_not_mean_nothing(entry: dict[str, Any]) -> None:
    assert not states_nothing(entry)


def test_the_message_says_which_names_are_read() -> None:
    assert all(name in why_no_mask({}) for name in MASK_FIELDS)
    assert "'segmentation' is null" in why_no_mask({"segmentation": None})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, True),
        (0, False),
        ("0", False),
        ("1", True),
        (None, False),
        (1.0, True),
        ("FALSE", False),
        (float("nan"), False),
    ],
)
def test_crowds(value: Any, expected: bool) -> None:
    assert is_crowd({"iscrowd": value}) is expected


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ({"ann_id": 5}, [5]), ({"ann_id": [5, 6]}, [5, 6]), ({"ann_ids": [5]}, [5]), ({"ann_id": [-1]}, []),
        ({"ann_id": [-1], "no_target": True}, []), ({"ann_id": None, "no_target": True}, []), ({"no_target": True}, []),
        ({"ann_id": [5], "no_target": "false"}, [5]),
        ({"ann_id": "25_1"}, ["25_1"]),
    ],
)  # fmt: skip
def test_named_annotations(ref: dict[str, Any], expected: list[Any]) -> None:
    assert named_ids(ref) == expected


@pytest.mark.parametrize(
    "ref",
    [{}, {"ann_id": None}, {"ann_id": []}, {"ann_id": -1}, {"ann_id": [None]}, {"ann_id": [5, -1]}, {"ann_id": {}},
     {"ann_id": [5], "no_target": True}],
)  # fmt: skip
def test_a_referent_that_names_neither_an_object_nor_nothing(ref: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="says "):
        named_ids(ref)


@pytest.mark.parametrize(
    ("wanted", "stated", "expected"),
    [
        ("val", ["train", "validation"], ("validation",)),
        ("val", ["valid", "dev"], ("valid", "dev")),
        ("val", ["val", "validation"], ("val",)),
        ("validation", ["val"], ("val",)),
        ("train", ["TRAIN"], ("TRAIN",)),
        ("testA", ["test_a", "testB"], ("test_a",)),
        ("test", ["testA"], ()),
    ],
)
def test_a_split_under_its_other_names(wanted: str, stated: list[str], expected: tuple[str, ...]) -> None:
    assert names_of_split(wanted, stated) == expected
