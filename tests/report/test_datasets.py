"""What `data check` tells of words, and what it remarks without calling it a fault."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from m3att.data.refer.check_report import DatasetReport, Faults, SplitReport
from m3att.data.refer.splits import Counts
from m3att.report.datasets import remarks_of, words_table
from m3att.report.tables import faults_of


def report(split: dict[str, Any], **changes: Any) -> dict[str, Any]:
    none = Faults(0, ())
    told = SplitReport(12, 20, 3, 40, 9, 1, Counts(), "unpublished", none, none, none, **split)
    absent = SplitReport(0, 0, 0, 0, 0, 0, Counts(), "absent", none, none, none)
    values: dict[str, Any] = {
        "dataset": "refcocog", "split_by": "google", "word_limit": 20, "pixels": "layout", "image_root": "/here",
        "splits": {"train": told, "val": absent}, "unknown_splits": (), "annotations": 4, "crowds": 0,
        "without_segmentation": 0, "broken_segmentations": none, "repeated_ids": none, "shared_images": {},
    }  # fmt: skip
    return DatasetReport(**(values | changes)).to_dict()


def test_words_of_each_split_that_is_there() -> None:
    values = report({"lengths": {"50": 3, "99": 8, "100": 9}, "over": {"15": 1200, "20": 1}})
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(words_table(values))
    head, train = [line.split() for line in capture.get().splitlines()]
    assert " ".join(head) == "split vocabulary 50% have at most 99% 100% over 15 words over 20 words"
    assert train == ["train", "40", "3", "8", "9", "1,200", "1"]


def test_remarks_are_no_faults() -> None:
    assert remarks_of(report({})) == []
    values = report(
        {"several_targets": 5, "no_target": 1200, "silent": 2, "known_missing": 3},
        shared_images={"train/val": 7},
        shared_by_design=True,
        without_image=4,
    )
    shared, targets, silent, missing, homeless = remarks_of(values)
    assert shared.startswith("train/val share 7 images: google divided the objects")
    assert targets == "train: several objects are named by 5 expressions, none by 1,200"
    assert silent == "train: 2 referents without an expression, left out"
    assert missing.startswith("train: 3 of the missing photos")
    assert homeless.startswith("4 annotations of images")
    assert faults_of(values) == []
